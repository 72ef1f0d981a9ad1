"""What stands in a certificate request (PKCS #10, PEM): the subject and the names that somebody would like to have."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Requested:
    """The subject, as user and groups, and the alternative names."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()

    @property
    def has_alternative_names(self) -> bool:
        """Whether it asks for any name besides its subject."""
        return bool(self.dns_names or self.ip_addresses or self.email_addresses or self.uris)


@lru_cache(maxsize=256)
def requested(encoded: str) -> Requested:
    """Read the base64 of a PEM request; ValueError says what is wrong with it."""
    # Imported here: whoever only knows that there are such requests need not wait for it.
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.oid import NameOID

    pem = b64decode(encoded)
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(pem)
        names = _alternative_names(request)
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise ValueError(f"cannot be read: {error}") from error
    if not is_signed:
        raise ValueError("its signature does not fit its key")
    common_names = [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return Requested(next(iter(common_names), ""), tuple(groups), **names)


def _alternative_names(request: x509.CertificateSigningRequest) -> dict[str, tuple[str, ...]]:
    from cryptography import x509

    try:
        given = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {}
    return {
        "dns_names": tuple(given.get_values_for_type(x509.DNSName)),
        "ip_addresses": tuple(str(address) for address in given.get_values_for_type(x509.IPAddress)),
        "email_addresses": tuple(given.get_values_for_type(x509.RFC822Name)),
        "uris": tuple(given.get_values_for_type(x509.UniformResourceIdentifier)),
    }
