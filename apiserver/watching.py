"""WATCH: every change of the selected objects, once, in order, from a version on. Kubernetes: the watch handler and
Cacher.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import orjson

from apiserver.listing import selection_of, version_of, wait_for
from apiserver.negotiation import Representation
from apiserver.representation import bookmark, watch_frame
from apiserver.request import Request, Stream
from apiserver.storage.store import Compacted
from apiserver.watchers import Watcher
from wherry.machinery.errors import ApiError, BadRequest, Expired, Timeout, invalid_object
from wherry.machinery.field_errors import FieldError, forbidden
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

# How often a quiet watch that allows bookmarks gets one. Kubernetes: about once a minute.
BOOKMARK_SECONDS = 60.0
# Without a timeout of the client's choice a watch ends after 30 to 60 minutes, so that clients spread over servers.
MIN_SECONDS = 1800.0


async def watch_objects(server: Server, request: Request, cls: type[Resource], form: Representation) -> Stream:
    """Answer a watch: the stream begins at once, with synthetic events where the version asks for them."""
    target = request.target
    namespace = target.namespace if target and cls.kind.namespaced else ""
    selection = selection_of(request, cls, namespace)
    version = version_of(request)
    initial = _wants_initial_events(request)
    seconds = _timeout(request)
    include = request.first("includeObject")
    frame = watch_frame(cls, form, server.now, include)
    shared: object = object() if form.form == "Table" else (form.form, form.version, cls.kind.group)
    watcher = Watcher(selection, frame, shared)

    wants_state = initial or (initial is None and not version)
    if version is None or wants_state:
        await server.cache.fresh()
    if version:
        try:
            await wait_for(server, version)
        except Timeout as late:
            if initial:
                raise
            return Stream(_only(_error(late)))
    # From here to `add` nothing may await: the state sent first and the events that follow must meet exactly.
    start = server.cache.applied
    cache = server.cache.of(cls)
    watcher.revision = start
    if wants_state:
        watcher.preload(frame("ADDED", stored) for stored in cache.objects(namespace) if selection.matches(stored))
        if initial:
            watcher.put(bookmark(cls, start, form, initial=True))
    cache.watchers.add(watcher)
    since = start if wants_state or version is None else version
    bookmarks = request.flag("allowWatchBookmarks")
    return Stream(_events(server, cls, watcher, _Plan(since, start, seconds, form if bookmarks else None)))


class _Plan:
    """How a stream goes: replay from `since` to `start`, then live until `seconds` are over."""

    def __init__(self, since: int, start: int, seconds: float, bookmarks: Representation | None) -> None:
        self.since, self.start, self.seconds, self.bookmarks = since, start, seconds, bookmarks


async def _events(server: Server, cls: type[Resource], watcher: Watcher, plan: _Plan) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + plan.seconds
    timers = [loop.call_at(ends_at, watcher.end)]
    if plan.bookmarks is not None:
        _bookmark_later(server, cls, watcher, plan.bookmarks, timers)
    server.watching.add(watcher)
    try:
        if plan.since < plan.start:
            replayed = Watcher(watcher.selection, watcher.frame, watcher.form)
            try:
                async for event in server.cache.replay(cls, plan.since, plan.start):
                    replayed.offer(event)
            except Compacted:
                yield _error(Expired(f"too old resource version: {plan.since} ({server.cache.applied})"))
                return
            replayed.end()
            while chunk := await replayed.chunk():
                yield chunk
        while chunk := await watcher.chunk():
            yield chunk
    finally:
        for timer in timers:
            timer.cancel()
        server.watching.discard(watcher)
        server.cache.of(cls).watchers.discard(watcher)


def _bookmark_later(
    server: Server, cls: type[Resource], watcher: Watcher, form: Representation, timers: list[asyncio.TimerHandle]
) -> None:
    def send() -> None:
        # Every event up to the cache's revision has been offered, so the client may resume from there.
        watcher.put(bookmark(cls, server.cache.applied, form))
        _bookmark_later(server, cls, watcher, form, timers)

    loop = asyncio.get_running_loop()
    timers[1:] = [loop.call_later(BOOKMARK_SECONDS * random.uniform(0.9, 1.1), send)]


async def _only(event: bytes) -> AsyncIterator[bytes]:
    yield event


def _error(error: ApiError) -> bytes:
    return orjson.dumps({"type": "ERROR", "object": error.to_status()}) + b"\n"


def _wants_initial_events(request: Request) -> bool | None:
    """The sendInitialEvents parameter; None when unset."""
    text, match = request.first("sendInitialEvents"), request.first("resourceVersionMatch")
    errors: list[FieldError] = []
    if text and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden("resourceVersionMatch", detail))
    if match and not text:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if errors:
        raise invalid_object("ListOptions.meta.k8s.io", "", errors)
    return request.flag("sendInitialEvents") if text else None


def _timeout(request: Request) -> float:
    text = request.first("timeoutSeconds")
    if not text:
        return MIN_SECONDS * random.uniform(1, 2)
    if not text.lstrip("-").isdigit() or len(text) > 12:
        raise BadRequest(f"timeoutSeconds: expected an integer, got {text[:64]!r}")
    seconds = float(text)
    return seconds if seconds > 0 else MIN_SECONDS * random.uniform(1, 2)
