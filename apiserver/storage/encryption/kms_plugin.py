"""A key management plugin: a program of the operator's that holds the keys, and answers gRPC on a Unix socket."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from google.protobuf.message import DecodeError

from apiserver.storage.encryption import kms_messages as messages
from apiserver.storage.store import StoreUnavailable
from wherry.client.grpc.channel import Channel
from wherry.client.grpc.stream import CallError

_SERVICE = "/v2.KeyManagementService/"


class Plugin:
    """The plugin called `name` in the file. It is asked seldom: each time on a connection of its own."""

    def __init__(self, name: str, endpoint: str, timeout_seconds: float) -> None:
        self._name, self._endpoint, self._timeout_seconds = name, endpoint, timeout_seconds

    async def status(self) -> Any:
        """How it is, and which key it encrypts with; raises StoreUnavailable."""
        return await self._ask("Status", messages.StatusRequest(), messages.StatusResponse)

    async def encrypt(self, plain: bytes) -> Any:
        """Raises StoreUnavailable."""
        request = messages.EncryptRequest(plaintext=plain, uid=str(uuid4()))
        return await self._ask("Encrypt", request, messages.EncryptResponse)

    async def decrypt(self, stored: Any) -> bytes:
        """The key or seed of an EncryptedObject; raises StoreUnavailable."""
        request = messages.DecryptRequest(
            ciphertext=stored.encrypted_source,
            uid=str(uuid4()),
            key_id=stored.key_id,
            annotations=[messages.Annotation(key=each.key, value=each.value) for each in stored.annotations],
        )
        plain: bytes = (await self._ask("Decrypt", request, messages.DecryptResponse)).plaintext
        return plain

    def failure(self, why: str) -> StoreUnavailable:
        """An error that names the plugin."""
        return StoreUnavailable(f"kms {self._name!r} at {self._endpoint}: {why}")

    async def _ask(self, method: str, request: Any, answer: Any) -> Any:
        channel = Channel(self._endpoint, None, seconds=self._timeout_seconds)
        try:
            return answer.FromString(await channel.ask(_SERVICE + method, request.SerializeToString()))
        except (CallError, DecodeError) as error:
            raise self.failure(f"{method}: {error}") from None
        finally:
            await channel.close()
