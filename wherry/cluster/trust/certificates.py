"""A certificate authority of one's own, and what it signs. EC P-256 throughout; keys are readable by their owner only.

    authority = Authority(layout.pki, "ca")
    authority.issue("apiserver", Subject("kube-apiserver"), hosts=("localhost", "127.0.0.1"))

Nothing is made twice: a certificate is kept until a third of its life is left, its authority has changed, or other
names or addresses are asked for. Certificates are looked at when a cluster starts; one that runs for longer than a
year without a restart must be restarted.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wherry.cluster.files import write_private
from wherry.cluster.problem import ClusterProblem

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
# Clocks of other machines may be behind ours.
_BACKDATED = timedelta(minutes=5)
_RENEWED_BEFORE = 1 / 3


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate speaks for. To the API server `name` is the user, `groups` are the groups."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def x509(self) -> x509.Name:
        """The subject as certificates say it."""
        groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in self.groups]
        return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, self.name)])


class Authority:
    """An authority kept in a folder as NAME.crt and NAME.key; made on first use."""

    def __init__(self, folder: Path, name: str, title: str = "wherry") -> None:
        self._folder = folder
        self.cert_file, self._key_file = folder / f"{name}.crt", folder / f"{name}.key"
        self._subject = Subject(title).x509
        self._key, self._certificate = self._load() if self._exists() else self._create()

    def issue(self, name: str, subject: Subject, hosts: tuple[str, ...] = (), *, is_peer: bool = False) -> None:
        """See that NAME.crt and NAME.key are there and good: for a server with hosts, for a client without, or both."""
        cert_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        names = _alternative_names(hosts)
        if key_file.exists() and cert_file.exists() and self._serves(_read(cert_file), subject, names):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] if hosts else []
        if is_peer or not hosts:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        builder = _builder(subject.x509, self._subject, key, LIFE).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        _write(key_file, cert_file, key, builder.sign(self._key, hashes.SHA256()))

    def _exists(self) -> bool:
        return self.cert_file.exists() and self._key_file.exists()

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        except ValueError as error:
            raise ClusterProblem(f"{self._key_file}: not a private key: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ClusterProblem(f"{self._key_file}: expected an EC private key, got {type(key).__name__}")
        certificate = _read(self.cert_file)
        return (key, certificate) if not _is_old(certificate) else self._create()

    def _create(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self._subject, self._subject, key, AUTHORITY_LIFE).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(_SIGNS_ONLY, critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        _write(self._key_file, self.cert_file, key, certificate)
        return key, certificate

    def _serves(self, certificate: x509.Certificate, subject: Subject, names: x509.SubjectAlternativeName) -> bool:
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return certificate.subject == subject.x509 and _names_of(certificate) == set(names) and not _is_old(certificate)


_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def make_key(path: Path) -> None:
    """See that an EC private key is there (the one that signs tokens)."""
    if not path.exists():
        write_private(path, _pem(ec.generate_private_key(ec.SECP256R1())))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _BACKDATED).not_valid_after(now + life)


def _alternative_names(hosts: tuple[str, ...]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative_name(host) for host in dict.fromkeys(hosts)])


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _is_old(certificate: x509.Certificate) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return datetime.now(UTC) > end - (end - begin) * _RENEWED_BEFORE


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise ClusterProblem(f"{path}: not a certificate: {error}") from error


def _write(key_file: Path, cert_file: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write_private(key_file, _pem(key))
    write_private(cert_file, certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
