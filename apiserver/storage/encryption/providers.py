"""Ways of encrypting a value. What each writes begins with its name and its key, for readers to know which to take."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from apiserver.storage.store import StoreError

MARK = b"k8s:enc:"
_NONCE_BYTES, _BLOCK_BYTES = 12, 16


class Undecipherable(ValueError):
    """The value was not encrypted with this key, or was tampered with, or belongs to another object."""


class Way(Protocol):
    """One algorithm with one key. `place` is the object's key in the store, to which a value is bound."""

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """The value in secret."""

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """The value again; raises Undecipherable."""


class AesGcm:
    """AES-GCM with a random nonce. Kubernetes: `aesgcm`; a key is good for 200,000 writes, then it should change."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """The nonce comes first."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, place)

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """Also checks that the value stands where it was written."""
        try:
            return self._cipher.decrypt(secret[:_NONCE_BYTES], secret[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise Undecipherable("it was not encrypted with this key, or not for this object") from None


class AesCbc:
    """AES-CBC with a random start. Kubernetes: `aescbc`; what is tampered with is not noticed, so prefer `aesgcm`."""

    def __init__(self, key: bytes) -> None:
        self._key = algorithms.AES(key)

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """The start comes first."""
        start, padder = os.urandom(_BLOCK_BYTES), PKCS7(_BLOCK_BYTES * 8).padder()
        encryptor = Cipher(self._key, modes.CBC(start)).encryptor()
        padded = padder.update(value) + padder.finalize()
        return start + encryptor.update(padded) + encryptor.finalize()

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """Wrong keys show by the padding."""
        try:
            decryptor = Cipher(self._key, modes.CBC(secret[:_BLOCK_BYTES])).decryptor()
            padded = decryptor.update(secret[_BLOCK_BYTES:]) + decryptor.finalize()
            unpadder = PKCS7(_BLOCK_BYTES * 8).unpadder()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            raise Undecipherable("it was not encrypted with this key") from None


class SecretBox:
    """XSalsa20-Poly1305 with a random nonce, by libsodium. Kubernetes: `secretbox`; a moved value goes unnoticed."""

    def __init__(self, key: bytes) -> None:
        from nacl.secret import SecretBox as Box

        self._box = Box(key)

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """The nonce comes first."""
        return bytes(self._box.encrypt(value))

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """Wrong keys and changed values show."""
        from nacl.exceptions import CryptoError

        try:
            return self._box.decrypt(secret)
        except (CryptoError, ValueError):
            raise Undecipherable("it was not encrypted with this key") from None


class Remote(Protocol):
    """What a way needs whose keys are somewhere else."""

    is_healthy: bool

    async def begin(self) -> None:
        """Before anything is encrypted; raises StoreUnavailable."""

    async def fetch(self, secret: bytes) -> None:
        """Before the value is decrypted; raises StoreUnavailable."""

    def is_stale(self, secret: bytes) -> bool:
        """Whether it stands under an older key."""

    async def follow(self, encrypt_anew: Callable[[], Awaitable[None]]) -> None:
        """Call `encrypt_anew` for each new key, until cancelled."""


class Key(NamedTuple):
    """A way, and the mark that its values begin with: empty where nothing is encrypted."""

    mark: bytes
    way: Way | None
    remote: Remote | None = None

    @property
    def name(self) -> str:
        """`aesgcm key1`, for messages."""
        return name_of(self.mark) or "identity"


IDENTITY = Key(b"", None)
WAYS: Mapping[str, type[AesGcm] | type[AesCbc] | type[SecretBox]] = {
    "aesgcm": AesGcm,
    "aescbc": AesCbc,
    "secretbox": SecretBox,
}


def key_of(provider: str, name: str, secret: bytes) -> Key:
    """A key of a provider; raises ValueError for one of the wrong length."""
    return Key(b"%s%s:v1:%s:" % (MARK, provider.encode(), name.encode()), WAYS[provider](secret))


def mark_of(value: bytes) -> bytes:
    """The mark of the key that an encrypted value was written with."""
    parts = value[len(MARK) : len(MARK) + 512].split(b":", 3)[:3]
    return b"%s%s:" % (MARK, b":".join(parts))


def name_of(mark: bytes) -> str:
    """`aesgcm key1`, for messages."""
    provider, _, rest = mark.removeprefix(MARK).decode("utf-8", "replace").strip(":").partition(":")
    return f"{provider} {rest.partition(':')[2]}".strip()


def check_clear(key: str, value: bytes) -> None:
    """Raise StoreError for a value that is still encrypted where nobody has keys: it must not seem to be absent."""
    if value.startswith(MARK):
        raise StoreError(
            f"{key}: encrypted with the key {name_of(mark_of(value))!r}, and no keys are configured: bring back "
            "the file that has it (--encryption-provider-config; for `wherry up`, encryption.yaml in the data folder)"
        )
