"""The keys of one issuer, found by discovery and asked for again when they change.

A token signed with a key that nobody has seen makes the keys be read again, but no more often than every ten seconds:
such a token may be anybody's. Kubernetes: go-oidc's remote key set.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable
from typing import Any

import jwt
import orjson

from apiserver.access.oidc.config import Issuer

SECONDS = 10.0
AGAIN_SECONDS = 10.0
# A key that was withdrawn is trusted no longer than this.
OLDEST_SECONDS = 600.0
MOST_BYTES = 1024 * 1024


class KeysUnavailable(Exception):
    """Why there are no keys."""


class IssuerKeys:
    """See the module."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def matching(self, key_id: str) -> list[jwt.PyJWK]:
        """The keys that a token may be signed with: that of its key id, or all. Raises KeysUnavailable."""
        now = asyncio.get_running_loop().time()
        if not self._known(key_id) or now - self._read_at > OLDEST_SECONDS:
            async with self._lock:
                if now - self._asked_at > AGAIN_SECONDS:
                    self._asked_at = now
                    self._keys = await self._read()
                    self._read_at = now
        if now - self._read_at > OLDEST_SECONDS:
            raise KeysUnavailable("the keys were asked for a moment ago, and did not come")
        return self._known(key_id)

    def _known(self, key_id: str) -> list[jwt.PyJWK]:
        if not key_id:
            return list(self._keys.values())
        return [self._keys[key_id]] if key_id in self._keys else []

    async def _read(self) -> dict[str, jwt.PyJWK]:
        issuer = self._issuer
        place = issuer.discovery_url or issuer.url.rstrip("/") + "/.well-known/openid-configuration"
        told = await self._get(place)
        if told.get("issuer") != issuer.url:
            raise KeysUnavailable(f"{place} tells of issuer {str(told.get('issuer'))[:200]!r}, not of {issuer.url!r}")
        listed = (await self._get(str(told.get("jwks_uri")))).get("keys")
        found = {}
        for number, each in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(each, dict) and each.get("use", "sig") == "sig":
                try:
                    found[str(each.get("kid") or f"#{number}")] = jwt.PyJWK.from_dict(each)
                except (jwt.PyJWTError, ValueError, TypeError):
                    continue  # of a kind that we do not know: whoever uses it is refused
        return found

    async def _get(self, url: str) -> dict[str, Any]:
        import aiohttp

        if not url.startswith("https://"):
            raise KeysUnavailable(f"{url[:200]!r} does not begin with https://")
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            context = ssl.create_default_context(cadata=self._issuer.certificate_authority or None)
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=context)) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                body = await _whole(answer.content.iter_any())
                value = orjson.loads(body) if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise KeysUnavailable(f"{url}: {error or type(error).__name__}") from None
        if not isinstance(value, dict):
            raise KeysUnavailable(f"{url}: status {answer.status}, and no JSON object")
        return value


async def _whole(content: AsyncIterable[bytes]) -> bytes:
    """A body to its end; ValueError for one that is longer than any set of keys."""
    body = bytearray()
    async for piece in content:
        body += piece
        if len(body) > MOST_BYTES:
            raise ValueError(f"the answer is longer than {MOST_BYTES} bytes")
    return bytes(body)
