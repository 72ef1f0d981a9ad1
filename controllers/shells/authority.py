"""Authority: the key that signs certificates for the cluster's users and nodes, and the chance it needs."""

from __future__ import annotations

import ipaddress
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controllers.access.certificate_requests import lifetime
from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.api.certificates.request import Requested, requested

_EXTENDED = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}


class Authority:
    """See the module. Made of a certificate and its private key in PEM; ValueError says what does not fit."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate)
        private = serialization.load_pem_private_key(key, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"expected an EC or RSA private key, got {type(private).__name__}")
        if private.public_key() != self._certificate.public_key():
            raise ValueError("the private key is not that of the certificate")
        self._key = private

    def __repr__(self) -> str:
        return f"Authority({self._certificate.subject.rfc4514_string()!r}, key withheld)"

    def sign(self, csr: CertificateSigningRequest, now: datetime) -> str:
        """The certificate asked for, as base64 of PEM.

        ValueError, TypeError or UnsupportedAlgorithm say what is wrong with the request, RuntimeError with us.
        """
        request, wanted = x509.load_pem_x509_csr(b64decode(csr.spec.request)), requested(csr.spec.request)
        begin, end = lifetime(csr, now, self._certificate.not_valid_after_utc)
        if end <= now:
            raise RuntimeError(f"the authority's own certificate ended at {end}: nothing can be signed with it")
        builder = x509.CertificateBuilder(
            issuer_name=self._certificate.subject,
            subject_name=_subject(wanted),
            public_key=request.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=begin,
            not_valid_after=end,
        )
        for extension, is_critical in self._extensions(csr, wanted):
            builder = builder.add_extension(extension, is_critical)
        return b64encode(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)).decode()

    def _extensions(
        self, csr: CertificateSigningRequest, wanted: Requested
    ) -> Iterator[tuple[x509.ExtensionType, bool]]:
        yield x509.BasicConstraints(ca=False, path_length=None), True
        # One that allows nothing makes the whole certificate invalid.
        if {"digital signature", "key encipherment"} & set(csr.spec.usages):
            yield _key_usage(csr.spec.usages), True
        yield x509.ExtendedKeyUsage([_EXTENDED[usage] for usage in csr.spec.usages if usage in _EXTENDED]), False
        yield x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
        names = list(_alternative_names(wanted))
        if names:
            yield x509.SubjectAlternativeName(names), False


def _subject(wanted: Requested) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in wanted.organizations]
    names = [x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)] if wanted.common_name else []
    return x509.Name([*groups, *names])


def _alternative_names(wanted: Requested) -> Iterator[x509.GeneralName]:
    yield from (x509.DNSName(name) for name in wanted.dns_names)
    yield from (x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.ip_addresses)
    yield from (x509.RFC822Name(name) for name in wanted.email_addresses)
    yield from (x509.UniformResourceIdentifier(name) for name in wanted.uris)


def _key_usage(usages: tuple[str, ...]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital signature" in usages,
        key_encipherment="key encipherment" in usages,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
