"""A key management plugin for tests: real gRPC on a real socket, keys in memory."""

import os
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apiserver.storage.encryption import kms_messages as messages


class KeyPlugin:
    """Encrypts with the key `key_id`, decrypts with any that it has had."""

    def __init__(self, socket: Path) -> None:
        self.endpoint = f"unix://{socket}"
        self.key_id = "1"
        self.healthz = "ok"
        self.version = "v2"
        self.calls: list[str] = []
        self._keys: dict[str, AESGCM] = {}

    async def __aenter__(self) -> "KeyPlugin":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; also again, after `stop`."""
        asked = {
            "Status": (self._status, messages.StatusRequest),
            "Encrypt": (self._encrypt, messages.EncryptRequest),
            "Decrypt": (self._decrypt, messages.DecryptRequest),
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=request.FromString,
                response_serializer=lambda each: each.SerializeToString(),
            )
            for name, (answer, request) in asked.items()
        }
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v2.KeyManagementService", methods),)
        )
        self._server.add_insecure_port(self.endpoint)
        await self._server.start()

    async def stop(self) -> None:
        """Answer nobody any more."""
        await self._server.stop(None)

    def _key(self, name: str) -> AESGCM:
        return self._keys.setdefault(name, AESGCM(os.urandom(32)))

    async def _status(self, request: Any, context: Any) -> Any:
        self.calls.append("Status")
        return messages.StatusResponse(version=self.version, healthz=self.healthz, key_id=self.key_id)

    async def _encrypt(self, request: Any, context: Any) -> Any:
        self.calls.append("Encrypt")
        nonce = os.urandom(12)
        return messages.EncryptResponse(
            ciphertext=self._key(self.key_id).encrypt(nonce, request.plaintext, None),
            key_id=self.key_id,
            annotations=[messages.Annotation(key="nonce.example.com", value=nonce)],
        )

    async def _decrypt(self, request: Any, context: Any) -> Any:
        self.calls.append("Decrypt")
        nonce = request.annotations[0].value
        plain = self._key(request.key_id).decrypt(nonce, request.ciphertext, None)
        return messages.DecryptResponse(plaintext=plain)
