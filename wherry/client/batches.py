"""Batches: many bindings, events or pods created or deleted with one request, each with its own outcome.

    outcomes = await batches.create([manifest, …])      # None for what was created, or else why not
    await deletions.delete(pod, options)                # whoever asks in the same turn of the loop goes with it

Only Wherry's API server takes them. `are_taken` is true until a server has said that it does not, and again some
minutes later: rights may have come back, or another server. Meanwhile, as always, objects can be created one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from wherry.api.core.pod import Pod
from wherry.client.http import Client
from wherry.machinery.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
    from_status,
)
from wherry.machinery.resource import Resource

# How long after a refusal nobody asks for a batch.
REFUSED_SECONDS = 300.0
# While the server looks at one batch, the next one travels.
AT_ONCE = 2
# Deletions in one request: more would keep the others of the server waiting.
DELETED_TOGETHER = 25


class NoBatches(Exception):
    """The server takes objects one by one only, at least from us; nothing was created."""


def check_lead(may_act: Callable[[], bool]) -> None:
    """Raise Conflict where another process leads by now."""
    if not may_act():
        raise Conflict("this process no longer leads")


class Outcome(NamedTuple):
    """What became of one object: why not, or its revision where the server tells it (of pods)."""

    error: ApiError | None
    revision: int = 0


class Batches:
    """See the module: of one kind. `method` is what is done with them.

    `may_act` is asked once more when the turn has come, which may be a minute after the caller looked.
    """

    def __init__(
        self, client: Client, kind: type[Resource], method: str = "POST", may_act: Callable[[], bool] = lambda: True
    ) -> None:
        self._client, self._path, self._method, self._may_act = client, kind.kind.path(""), method, may_act
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
                check_lead(self._may_act)
                answer = await self._client.request(self._method, self._path, body=body)
        except (MethodNotAllowed, NotFound, Forbidden) as error:
            self._refused_until = asyncio.get_running_loop().time() + REFUSED_SECONDS
            raise NoBatches(error.message) from error
        self._refused_until = 0.0
        statuses = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(statuses, list) or len(statuses) != len(manifests):
            raise InternalError(
                f"{self._method} {self._path}: expected {len(manifests)} outcomes, got {str(answer)[:80]}"
            )
        return [_outcome(status) for status in statuses]


def alike(error: ApiError, count: int) -> list[Outcome]:
    """The same for so many, each with an error of its own: one that is raised in many places names none of them."""
    return [Outcome(type(error)(error.message, error.details)) for _ in range(count)]


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


class _Wish(NamedTuple):
    """One deletion that was asked for, and what became of it: None if it has to be asked for alone."""

    item: dict[str, Any]
    outcome: asyncio.Future[Outcome | None]


class Deletions:
    """Pods that are to go in one turn of the loop go with one request.

    The first to ask in a turn carries the others. Who is alone, or meets a server that takes no batches, deletes as
    anybody does. `may_act` as of `Batches`.
    """

    def __init__(self, client: Client, may_act: Callable[[], bool] = lambda: True) -> None:
        self._client, self._batches = client, Batches(client, Pod, "DELETE", may_act)
        self._may_act = may_act
        self._open: list[_Wish] = []

    async def delete(self, pod: Resource, options: dict[str, Any]) -> None:
        """Delete a pod; raises the ApiError with which that ended."""
        metadata = pod.metadata
        place = {"namespace": metadata.namespace, "name": metadata.name}
        wish = _Wish({**options, "metadata": place}, asyncio.get_running_loop().create_future())
        if len(self._open) == DELETED_TOGETHER:
            self._open = []
        self._open.append(wish)
        if len(self._open) == 1:
            await self._carry(self._open)
        outcome = await wish.outcome
        if outcome is None:
            check_lead(self._may_act)
            await self._client.request("DELETE", pod.kind.path(metadata.namespace, metadata.name), body=options)
        elif outcome.error is not None:
            raise outcome.error

    async def _carry(self, wishes: list[_Wish]) -> None:
        """Ask for what is wished for by the end of this turn; nobody is left without an outcome."""
        given_up = Unavailable("who carried this deletion to the server was stopped")
        outcomes: Sequence[Outcome | None] | None = None
        try:
            await asyncio.sleep(0)
            self._close(wishes)
            outcomes = await self._outcomes(wishes)
        finally:
            self._close(wishes)
            for wish, outcome in zip(wishes, outcomes or alike(given_up, len(wishes)), strict=True):
                if not wish.outcome.done():
                    wish.outcome.set_result(outcome)

    def _close(self, wishes: list[_Wish]) -> None:
        if self._open is wishes:
            self._open = []

    async def _outcomes(self, wishes: list[_Wish]) -> Sequence[Outcome | None]:
        if len(wishes) == 1 or not self._batches.are_taken:
            return [None] * len(wishes)
        try:
            return await self._batches.outcomes([wish.item for wish in wishes])
        except (NoBatches, TooLarge):
            return [None] * len(wishes)
        except ApiError as error:
            return alike(error, len(wishes))
