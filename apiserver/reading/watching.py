"""WATCH: every change of the selected objects, once, in order, from a version on. Kubernetes: the watch handler and
Cacher.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import orjson

from apiserver.fairness.slices import others_first
from apiserver.reading.listing import selection_of, version_of, wait_for
from apiserver.reading.negotiation import Representation
from apiserver.reading.representation import bookmark, event_of, watch_frame
from apiserver.reading.selection import Judged, Selection
from apiserver.reading.watch_cache import ResourceCache
from apiserver.reading.watchers import Watcher
from apiserver.request import Request, Stream
from apiserver.storage.store import Compacted
from wherry.machinery.errors import ApiError, BadRequest, Expired, Timeout, invalid_object
from wherry.machinery.field_errors import FieldError, forbidden, not_supported
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

# How often a quiet watch that allows bookmarks gets one. Kubernetes: about once a minute.
BOOKMARK_SECONDS = 60.0
# Without a timeout of the client's choice a watch ends after 30 to 60 minutes, so that clients spread over servers.
MIN_SECONDS = 1800.0
# Past events gathered before they are sent and others get their turn: a millisecond. Few enough for any queue.
REPLAYED_AT_A_TIME = 16


async def watch_objects(
    server: Server, request: Request, cls: type[Resource], form: Representation, selection: Selection | None = None
) -> Stream:
    """Answer a watch: the stream begins at once, with synthetic events where the version asks for them.

    Without a `selection` the request says what it is about.
    """
    if selection is None:
        target = request.target
        namespace = target.namespace if target and cls.kind.namespaced else ""
        selection = selection_of(request, cls, namespace)
    version = version_of(request)
    initial = _wants_initial_events(request)
    seconds = _timeout(server, request)
    include = request.first("includeObject")
    frame = watch_frame(cls, form, server.now, include)
    shared: object = object() if form.form == "Table" else (form, cls.kind.api_version)
    wants_state = initial or (initial is None and not version)
    if version is None or wants_state:
        await server.cache.fresh()
    if version:
        try:
            await wait_for(server, version)
        except Timeout as late:
            if initial:
                raise
            return refusing(late, form)
    since = version or server.cache.applied
    start = _Start(since, bool(wants_state), initial is True, form, request.flag("allowWatchBookmarks"))
    watcher = Watcher(selection, frame, shared, user=request.user.name, on_cut=request.abort)
    return Stream(_events(server, cls, watcher, start, seconds), direct=partial(watcher.connect, server.fan_out))


class _Start(NamedTuple):
    """Where a stream begins: after a version, or with the whole state and, if asked for, a bookmark."""

    version: int
    wants_state: bool
    wants_mark: bool
    form: Representation
    allows_bookmarks: bool


async def _events(
    server: Server, cls: type[Resource], watcher: Watcher, start: _Start, seconds: float
) -> AsyncIterator[bytes]:
    """The stream, from its first byte on until `seconds` are over."""
    cache = server.cache.of(cls)
    judged = Judged(watcher.selection)
    if start.wants_state:
        await judged.prepare(list(cache.objects(watcher.selection.namespace)))
    # Nothing may await between these lines: the state sent first and the events that follow must meet exactly.
    loop = asyncio.get_running_loop()
    timers = [loop.call_later(seconds, watcher.end)]
    if start.allows_bookmarks:
        _bookmark_later(server, cls, watcher, start.form, timers)
    now = server.cache.applied
    if start.wants_state:
        mark = bookmark(cls, now, start.form, initial=True) if start.wants_mark else b""
        watcher.begin_with(_initial_frames(cache, watcher, judged, mark))
    cache.watchers.add(watcher)
    server.watching.add(watcher)
    try:
        if not start.wants_state and start.version < now:
            async for chunk in _replayed(server, cls, watcher, start.version, now):
                yield chunk
        while chunk := await watcher.chunk():
            yield chunk
    except Compacted:
        expired = Expired(f"too old resource version: {start.version} ({server.cache.applied})")
        yield _error(expired, start.form)
    finally:
        for timer in timers:
            timer.cancel()
        watcher.end()
        server.watching.discard(watcher)
        cache.watchers.discard(watcher)


def _initial_frames(cache: ResourceCache, watcher: Watcher, judged: Judged, mark: bytes) -> Iterator[bytes]:
    """Synthetic events for what there is now, and `mark` if it is not empty."""
    chosen = judged.chosen(list(cache.objects(watcher.selection.namespace)))
    return itertools.chain((watcher.frame("ADDED", stored) for stored in chosen), [mark] if mark else [])


async def _replayed(server: Server, cls: type[Resource], live: Watcher, since: int, until: int) -> AsyncIterator[bytes]:
    """The past of a stream, no more of it in memory at a time than a chunk; raises Compacted."""
    past = Watcher(live.selection, live.frame, live.form)
    waiting = 0
    async for event in server.cache.replay(cls, since, until):
        past.offer(event)
        waiting += 1
        if waiting >= REPLAYED_AT_A_TIME or past.has_chunk:
            waiting = 0
            await others_first()
            while chunk := past.take():
                yield chunk
    while chunk := past.take():
        yield chunk


def _bookmark_later(
    server: Server, cls: type[Resource], watcher: Watcher, form: Representation, timers: list[asyncio.TimerHandle]
) -> None:
    def send() -> None:
        # Every event up to the cache's revision has been offered, so the client may resume from there.
        watcher.put(bookmark(cls, server.cache.applied, form))
        _bookmark_later(server, cls, watcher, form, timers)

    loop = asyncio.get_running_loop()
    timers[1:] = [loop.call_later(BOOKMARK_SECONDS * server.random.uniform(0.9, 1.1), send)]


def refusing(error: ApiError, form: Representation) -> Stream:
    """A watch that has begun and ends at once: an event says why."""
    return Stream(_only(_error(error, form)))


async def _only(event: bytes) -> AsyncIterator[bytes]:
    yield event


def _error(error: ApiError, form: Representation) -> bytes:
    return event_of("ERROR", orjson.dumps(error.to_status()), form)


def _wants_initial_events(request: Request) -> bool | None:
    """The sendInitialEvents parameter; None when unset."""
    text, match = request.first("sendInitialEvents"), request.first("resourceVersionMatch")
    errors: list[FieldError] = []
    field = "resourceVersionMatch"
    if text and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden(field, detail))
    if match and not text:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(forbidden(field, detail))
    if match and match != "NotOlderThan":
        errors.append(not_supported(field, match, ["NotOlderThan"]))
    if match and request.first("continue"):
        errors.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    if errors:
        raise invalid_object("ListOptions.meta.k8s.io", "", errors)
    return request.flag("sendInitialEvents") if text else None


def _timeout(server: Server, request: Request) -> float:
    text = request.first("timeoutSeconds")
    if not text:
        return MIN_SECONDS * server.random.uniform(1, 2)
    if not text.lstrip("-").isdigit() or len(text) > 12:
        raise BadRequest(f"timeoutSeconds: expected an integer, got {text[:64]!r}")
    seconds = float(text)
    return seconds if seconds > 0 else MIN_SECONDS * server.random.uniform(1, 2)
