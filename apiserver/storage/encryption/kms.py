"""Keys that only a plugin can use: it encrypts a seed once, and each write has a key of its own, made from the seed.

A seed serves until the plugin encrypts with another key. While the plugin does not answer, what is known is read on,
and written for three minutes. What stands under another key of the plugin's is written anew.

Kubernetes: the kms provider, version 2, in the same format, with its intervals.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from google.protobuf.message import DecodeError

from apiserver.storage.encryption import kms_messages as messages
from apiserver.storage.encryption.providers import AesGcm, Undecipherable
from apiserver.storage.store import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from apiserver.storage.encryption.kms_plugin import Plugin

log = structlog.get_logger()

# How often the plugin is asked for its key while it answers, and while it does not.
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 60.0, 10.0
# How long a seed may write after the plugin has last said that its key is still the same.
WRITE_SECONDS = 180.0
# How long a plugin that starts together with the server is waited for.
START_SECONDS, START_PAUSE_SECONDS = 10.0, 0.25
_VERSIONS = ("v2", "v2beta1")
_SEED_BYTES, _INFO_BYTES, _KEY_BYTES = 32, 32, 32
_MOST_BYTES = 1024  # of a key's name, and of an encrypted seed


class SeededGcm:
    """AES-GCM with a key of its own for each value. Kubernetes: the extended nonce by HKDF."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """What the key is made of comes first."""
        info = os.urandom(_INFO_BYTES)
        return info + self._cipher(info).encrypt(value, place)

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """Raises Undecipherable."""
        return self._cipher(secret[:_INFO_BYTES]).decrypt(secret[_INFO_BYTES:], place)

    def _cipher(self, info: bytes) -> AesGcm:
        return AesGcm(HKDFExpand(algorithm=SHA256(), length=_KEY_BYTES, info=info).derive(self._seed))


class _Current(NamedTuple):
    """What writes: the seed's cipher, the head of each value, and until when it may."""

    cipher: SeededGcm
    head: Any
    until: float


class Kms:
    """The keys of one plugin. `begin` comes first; what `fetch` has seen can be decrypted."""

    def __init__(self, name: str, plugin: Plugin) -> None:
        self.name = name
        self.is_healthy = False
        self._plugin = plugin
        self._has_new_key = asyncio.Event()
        self._current: _Current | None = None
        # By what the plugin has encrypted: one for each start of a server under each key.
        self._ciphers: dict[bytes, AesGcm | SeededGcm] = {}

    async def begin(self) -> None:
        """Get a seed; raises StoreUnavailable if the plugin does not answer in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while True:
            try:
                await self.look()
                return
            except StoreUnavailable:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(START_PAUSE_SECONDS)

    async def follow(self, encrypt_anew: Callable[[], Awaitable[None]]) -> None:
        """Look after the plugin until cancelled; when it has another key, have everything encrypted anew."""
        async with asyncio.TaskGroup() as tasks:
            # Beside the looks: without these nothing can be written any more when it takes minutes.
            tasks.create_task(self._encrypt_anew(encrypt_anew))
            while True:
                await asyncio.sleep(LOOK_SECONDS if self.is_healthy else LOOK_AGAIN_SECONDS)
                try:
                    if await self.look():
                        self._has_new_key.set()
                except StoreError as error:
                    log.warning("the key management plugin failed", error=str(error))

    async def _encrypt_anew(self, encrypt_anew: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._has_new_key.wait()
            self._has_new_key.clear()
            try:
                await encrypt_anew()
            except StoreError as error:
                log.warning("not everything was encrypted anew", kms=self.name, error=str(error))
                self._has_new_key.set()
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def look(self) -> bool:
        """Ask the plugin how it is; whether it has a key now that it had not before. Raises StoreUnavailable."""
        self.is_healthy = False
        # Counted from before the question: the key may change right after the answer.
        until = asyncio.get_running_loop().time() + WRITE_SECONDS
        status = await self._plugin.status()
        if status.version not in _VERSIONS:
            raise self._plugin.failure(f"Status: version {status.version!r}, expected one of {', '.join(_VERSIONS)}")
        if status.healthz != "ok":
            raise self._plugin.failure(f"Status: healthz {status.healthz!r}, expected 'ok'")
        is_new = self._current is None or self._current.head.key_id != status.key_id
        if self._current is not None and not is_new:
            self._current = self._current._replace(until=until)
        else:
            self._current = await self._seeded(status.key_id, until)
        self.is_healthy = True
        return is_new

    async def _seeded(self, key_id: str, until: float) -> _Current:
        seed = os.urandom(_SEED_BYTES)
        answer = await self._plugin.encrypt(seed)
        if answer.key_id != key_id or not 0 < len(key_id.encode()) <= _MOST_BYTES:
            raise self._plugin.failure(
                f"Encrypt: key {answer.key_id!r}, and Status: key {key_id!r}: expected the same one, of 1 to 1024 bytes"
            )
        if not 0 < len(answer.ciphertext) <= _MOST_BYTES:
            raise self._plugin.failure(f"Encrypt: {len(answer.ciphertext)} bytes, expected 1 to {_MOST_BYTES}")
        head = messages.EncryptedObject(
            key_id=key_id,
            encrypted_source=answer.ciphertext,
            annotations=[messages.Annotation(key=each.key, value=each.value) for each in answer.annotations],
            source_type=messages.SOURCE_IS_SEED,
        )
        cipher = self._ciphers[_source_of(head)] = SeededGcm(seed)
        log.info("the key management plugin has a new key", kms=self.name, key=key_id)
        return _Current(cipher, head, until)

    def encrypt(self, value: bytes, place: bytes) -> bytes:
        """Raises StoreUnavailable when the plugin has been silent for too long."""
        current = self._current
        if current is None or asyncio.get_running_loop().time() > current.until:
            raise self._plugin.failure(
                f"nothing is written that its key may be too old for: no answer for {WRITE_SECONDS:.0f} s"
            )
        stored = messages.EncryptedObject()
        stored.CopyFrom(current.head)
        stored.encrypted_data = current.cipher.encrypt(value, place)
        written: bytes = stored.SerializeToString()
        return written

    async def fetch(self, secret: bytes) -> None:
        """Have the plugin decrypt what the value was encrypted with, if that is not known; raises StoreUnavailable."""
        stored = _read(secret)
        source = _source_of(stored)
        if source not in self._ciphers:
            plain = await self._plugin.decrypt(stored)
            try:
                made = SeededGcm(plain) if stored.source_type == messages.SOURCE_IS_SEED else AesGcm(plain)
            except ValueError as error:
                raise self._plugin.failure(f"Decrypt: {error}") from None
            self._ciphers[source] = made

    def decrypt(self, secret: bytes, place: bytes) -> bytes:
        """Raises Undecipherable."""
        stored = _read(secret)
        cipher = self._ciphers.get(_source_of(stored))
        if cipher is None:
            raise Undecipherable(f"the plugin has not said what its key {stored.key_id!r} has encrypted")
        return cipher.decrypt(stored.encrypted_data, place)

    def is_stale(self, secret: bytes) -> bool:
        """Whether it stands under another key than the plugin encrypts with now."""
        return self._current is not None and _read(secret).key_id != self._current.head.key_id


def _read(secret: bytes) -> Any:
    try:
        return messages.EncryptedObject.FromString(secret)
    except DecodeError:
        raise Undecipherable("it is no EncryptedObject") from None


def _source_of(stored: Any) -> bytes:
    """By what its key or seed is known."""
    source = messages.EncryptedObject()
    source.CopyFrom(stored)
    source.encrypted_data = b""
    serialized: bytes = source.SerializeToString(deterministic=True)
    return serialized
