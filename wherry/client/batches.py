"""Batches: many bindings, events or pods created with one request, each with its own outcome.

    outcomes = await batches.create([manifest, …])      # None for what was created, or else why not

Only Wherry's API server takes them. `are_taken` is true until a server has said that it does not, and again some
minutes later: rights may have come back, or another server. Meanwhile, as always, objects can be created one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from wherry.client.http import Client
from wherry.machinery.errors import ApiError, Forbidden, InternalError, MethodNotAllowed, NotFound, from_status
from wherry.machinery.resource import Resource

# How long after a refusal nobody asks for a batch.
REFUSED_SECONDS = 300.0
# While the server looks at one batch, the next one travels.
AT_ONCE = 2


class NoBatches(Exception):
    """The server takes objects one by one only, at least from us; nothing was created."""


class Outcome(NamedTuple):
    """What became of one object: why not, or its revision where the server tells it (of pods)."""

    error: ApiError | None
    revision: int = 0


class Batches:
    """See the module: of one kind."""

    def __init__(self, client: Client, kind: type[Resource]) -> None:
        self._client, self._path = client, kind.kind.path("")
        self._refused_until = 0.0
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def are_taken(self) -> bool:
        """Whether it is worth while to ask for one."""
        return not self._refused_until or asyncio.get_running_loop().time() >= self._refused_until

    async def create(self, manifests: Sequence[Any]) -> list[ApiError | None]:
        """Create them; raises ApiError when nothing is known of any, and NoBatches."""
        return [outcome.error for outcome in await self.outcomes(manifests)]

    async def outcomes(self, manifests: Sequence[Any]) -> list[Outcome]:
        """As `create`, and with their revisions."""
        body = {"kind": "List", "apiVersion": "v1", "items": manifests}
        try:
            async with self._turns:
                answer = await self._client.request("POST", self._path, body=body)
        except (MethodNotAllowed, NotFound, Forbidden) as error:
            self._refused_until = asyncio.get_running_loop().time() + REFUSED_SECONDS
            raise NoBatches(error.message) from error
        self._refused_until = 0.0
        statuses = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(statuses, list) or len(statuses) != len(manifests):
            raise InternalError(f"POST {self._path}: expected {len(manifests)} outcomes, got {str(answer)[:80]}")
        return [_outcome(status) for status in statuses]


def _outcome(status: dict[str, Any]) -> Outcome:
    if status.get("status") != "Success":
        return Outcome(from_status(status))
    return Outcome(None, int((status.get("metadata") or {}).get("resourceVersion") or 0))


def parcels(manifests: Sequence[dict[str, Any]], most: int, most_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Share them out so that none of the requests holds more of them, or is larger, than that."""
    parcel: list[dict[str, Any]] = []
    size = 0
    for manifest in manifests:
        length = len(orjson.dumps(manifest))
        if parcel and (len(parcel) == most or size + length > most_bytes):
            yield parcel
            parcel, size = [], 0
        parcel.append(manifest)
        size += length
    if parcel:
        yield parcel
