"""A certificate authority for one test: a serving certificate, an admin, and the key that signs tokens."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class ClusterKeys:
    """Files under one folder: ca.crt, NAME.crt, NAME.key, sa.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("wherry-test-ca")
        self._write("ca", self._name, self._key, is_authority=True)
        self.sign("apiserver")
        self.sign("admin", "system:masters")
        self._write_key("sa", ec.generate_private_key(ec.SECP256R1()))

    def sign(self, name: str, *groups: str, hosts: tuple[str, ...] = ()) -> None:
        """NAME.crt and NAME.key for a user, or for a server on this machine that goes by these names too."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write_key(name, key)
        self._write(name, _name(name, *groups), key, hosts=hosts)

    def client_context(self, name: str = "admin") -> ssl.SSLContext:
        """TLS as that user; `name` empty brings no certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if name:
            context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))

    def _write(
        self,
        file: str,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool = False,
        hosts: tuple[str, ...] = (),
    ) -> None:
        now = datetime.now(UTC)
        places: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        places += [x509.DNSName(host) for host in ("localhost", *hosts)]
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder(subject_name=subject, issuer_name=self._name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(places), critical=False)
            .add_extension(authority_key, critical=False)
        )
        signed = builder.sign(self._key, hashes.SHA256())
        (self.folder / f"{file}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str, *groups: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    return x509.Name([*parts, *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups)])
