"""Watchers: who is told of which change, in which words, without one slow reader costing the others anything.

An event is framed once per representation and the same bytes go to every watcher. Those that want the same are asked
once. Watchers that ask for one object by name, or for the pods of one node, are found by index, so a thousand of them
cost no more than the one that is meant.

Kubernetes: the Cacher's watchers. Transitions: an object that begins to match is ADDED, one that stops matching is
DELETED with its previous content and the new version.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import structlog

from apiserver.reading.fan_out import FanOut
from apiserver.reading.selection import Selection
from apiserver.reading.stored import Stored, head_of
from wherry.client.serving.counting import Histogram
from wherry.machinery.resource import Kind

log = structlog.get_logger()

# A watcher that is further behind than this is cut off; its client resumes from the last version it saw. In bytes it
# is what the watch cache remembers of a kind, so that nearly all resume without a look into the store.
MAX_BEHIND = 8192
MAX_BEHIND_BYTES = 8 * 1024 * 1024
# What one chunk to a client holds at most.
# Kubernetes: those of apiserver_watch_events_sizes.
SIZES = tuple(1024.0 * 2**power for power in range(8))
CHUNK_BYTES = 64 * 1024
# How long the state that a watch begins with is made into frames before others get their turn.
CHUNK_SECONDS = 0.001

# Fields by which watchers are indexed.
INDEXED = ("metadata.name", "spec.nodeName")


class Event:
    """One change of one object: what was before, what is after (None: gone), and its frames once made."""

    __slots__ = ("after", "before", "frames", "revision")

    def __init__(self, revision: int, before: Stored | None, after: Stored | None) -> None:
        self.revision = revision
        self.before = before
        self.after = after
        self.frames: dict[tuple[str, object], bytes] = {}

    @property
    def size(self) -> int:
        """Bytes it keeps alive: the state before is that of another event, or of the cache."""
        shown = self.after or self.before
        return len(shown.item) if shown is not None else 0


Place = TypeVar("Place")
Frame = Callable[[str, Stored], bytes]


def json_frame(kind: Kind) -> Frame:
    """Frames of whole objects."""
    opening = b',"object":' + head_of(kind)[:-12]

    def frame(type: str, stored: Stored) -> bytes:
        return b'{"type":"%s"%s%s}\n' % (type.encode(), opening, stored.item[1:])

    return frame


class Watcher:
    """One client's place in the stream. `form` names the representation; equal forms share frames.

    What waits for a client is bounded. A client that falls too far behind is cut: nothing more is queued, so that it
    can never see an event after one that it missed, and it resumes from the last version it saw. `on_cut` ends its
    connection: what was handed to that would wait there for ever.

    There are two ways out, one at a time: the client's own task asks for a `chunk`; and while that task has nothing to
    do and the client reads on, what comes is written to its connection directly.
    """

    def __init__(
        self,
        selection: Selection,
        frame: Frame,
        form: object = "",
        *,
        user: str = "",
        on_cut: Callable[[], None] = lambda: None,
    ) -> None:
        self.selection = selection
        self.user = user
        self.frame = frame
        self.form = form
        self.has_ended = False
        self._on_cut = on_cut
        self._initial: Iterator[bytes] = iter(())
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._fan_out: FanOut | None = None
        self._write: Callable[[bytes], bool] = lambda chunk: False
        # Whether its task waits for more, and whether it stands in the line of those written to directly.
        self._is_idle = False
        self._is_due = False

    def begin_with(self, frames: Iterator[bytes]) -> None:
        """The state a watch begins with; made into frames only as the client reads them."""
        self._initial = frames

    def connect(self, fan_out: FanOut, write: Callable[[bytes], bool]) -> None:
        """From now on use the direct way too; `write` says False when the client does not keep up, or has left."""
        self._fan_out, self._write = fan_out, write

    def framed(self, event: Event) -> bytes | None:
        """What this client should see of an event; None if nothing."""
        selection = self.selection
        if selection.is_plain and not selection.namespace:
            was, now = event.before is not None, event.after is not None
        else:
            was, now = selection.matches(event.before), selection.matches(event.after)
        if not was and not now:
            return None
        type = ("MODIFIED" if was else "ADDED") if now else "DELETED"
        stored = event.after if now else event.before
        framed = event.frames.get((type, self.form))
        if framed is None and stored is not None:
            framed = self.frame(type, stored if now else stored.at(event.revision))
            event.frames[type, self.form] = framed
        return framed

    def offer(self, event: Event) -> None:
        """Queue what this client should see of an event."""
        framed = self.framed(event)
        if framed is not None:
            self.put(framed)

    def put(self, framed: bytes) -> None:
        """Queue bytes; a client too far behind is cut."""
        if self.has_ended:
            return
        self._waiting.append(framed)
        self._waiting_bytes += len(framed)
        if len(self._waiting) > MAX_BEHIND or self._waiting_bytes > MAX_BEHIND_BYTES:
            self.cut()
        elif not self._is_idle or self._fan_out is None:
            self._wake()
        elif not self._is_due:
            self._is_due = True
            self._fan_out.add(self)

    def end(self) -> None:
        """No more events: the stream ends after what waits."""
        self.has_ended = True
        self._wake()

    def cut(self) -> None:
        """End the connection, and with it the stream, whatever waits."""
        self._initial = iter(())
        self._waiting.clear()
        self.end()
        self._on_cut()

    def _wake(self) -> None:
        """Have its own task go on; until that waits again nothing is written directly."""
        self._is_idle = False
        self._more.set()

    def deliver(self) -> None:
        """Write what waits to the connection, if nobody else is at it; a client that is slow is its task's business."""
        self._is_due = False
        if not self._is_idle:
            return
        chunk = self.take()
        try:
            written = not chunk or self._write(chunk)
        except (OSError, RuntimeError):  # nobody knows how much of it went out: the client comes again
            self.cut()
            return
        if not written:
            self._waiting.appendleft(chunk)
            self._waiting_bytes += len(chunk)
            self._wake()
        elif self._waiting and self._fan_out is not None:
            self._is_due = True
            self._fan_out.add(self)

    @property
    def has_chunk(self) -> bool:
        """Whether a whole chunk waits."""
        return self._waiting_bytes >= CHUNK_BYTES

    def take(self) -> bytes:
        """What waits, at most a chunk of it; empty if nothing does."""
        waiting = self._waiting
        if len(waiting) == 1 and self._is_idle:  # an idle one has long sent what it began with
            self._waiting_bytes = 0
            return waiting.popleft()
        taken: list[bytes] = []
        size = 0
        until = time.perf_counter() + CHUNK_SECONDS
        for framed in self._initial:
            taken.append(framed)
            size += len(framed)
            if size >= CHUNK_BYTES or time.perf_counter() >= until:
                return b"".join(taken)
        while waiting and size < CHUNK_BYTES:
            taken.append(waiting.popleft())
            size += len(taken[-1])
            self._waiting_bytes -= len(taken[-1])
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def chunk(self) -> bytes:
        """The next bytes for the client; empty at the end of the stream."""
        while not (chunk := self.take()):
            if self.has_ended:
                break
            self._more.clear()
            self._is_idle = True
            await self._more.wait()
        return chunk


class Watchers:
    """The watchers of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        # Those in one group see the same bytes.
        self._groups: dict[tuple[Selection, object], dict[Watcher, None]] = {}
        self._by_field: dict[tuple[str, str], dict[Watcher, None]] = {}
        self.told = Histogram(SIZES)  # events by their bytes, once for each watcher

    def __len__(self) -> int:
        return sum(map(len, self._groups.values())) + sum(map(len, self._by_field.values()))

    def by_scope(self) -> Counter[str]:
        """How many watch all of the kind, those of a namespace, or one object."""
        found: Counter[str] = Counter()
        for watcher in chain(*self._groups.values(), *self._by_field.values()):
            is_of_one = watcher.selection.fields.required("metadata.name") is not None
            found["resource" if is_of_one else "namespace" if watcher.selection.namespace else "cluster"] += 1
        return found

    def end(self) -> None:
        """End every stream: the kind is gone, or is read in another way from now on."""
        for home in [*self._groups.values(), *self._by_field.values()]:
            for watcher in list(home):
                watcher.end()

    def add(self, watcher: Watcher) -> None:
        """Begin to tell this one."""
        place = _place_of(watcher)
        if place:
            self._by_field.setdefault(place, {})[watcher] = None
        else:
            self._groups.setdefault((watcher.selection, watcher.form), {})[watcher] = None

    def discard(self, watcher: Watcher) -> None:
        """Stop telling this one."""
        place = _place_of(watcher)
        if place:
            _remove(self._by_field, place, watcher)
        else:
            _remove(self._groups, (watcher.selection, watcher.form), watcher)

    def dispatch(self, event: Event) -> None:
        """Offer an event to everyone it may concern."""
        for group in list(self._groups.values()):
            self._tell(event, group)
        if self._by_field:
            for watcher in self._indexed(event):
                self._tell(event, (watcher,))

    def _tell(self, event: Event, watchers: Collection[Watcher]) -> None:
        try:
            framed = next(iter(watchers)).framed(event)
        except Exception:
            # An object that cannot be shown in one form must not keep all others from what they watch.
            log.exception("event not told", kind=self.kind.resource, revision=event.revision)
            for watcher in list(watchers):
                watcher.cut()
            return
        if framed is not None:
            self.told.observe(len(framed), len(watchers))
            for watcher in list(watchers):
                watcher.put(framed)

    def _indexed(self, event: Event) -> Iterable[Watcher]:
        concerned: dict[Watcher, None] = {}
        for stored in (event.before, event.after):
            if stored is None:
                continue
            for field in INDEXED:
                value = stored.name if field == "metadata.name" else stored.fields.get(field)
                if value is not None:
                    concerned.update(self._by_field.get((field, value), {}))
        return concerned


def _remove(homes: dict[Place, dict[Watcher, None]], place: Place, watcher: Watcher) -> None:
    home = homes.get(place, {})
    home.pop(watcher, None)
    if not home:
        homes.pop(place, None)


def _place_of(watcher: Watcher) -> tuple[str, str] | None:
    """The index entry of a watcher that wants one name or one node."""
    for field in INDEXED:
        value = watcher.selection.fields.required(field)
        if value is not None:
            return field, value
    return None
