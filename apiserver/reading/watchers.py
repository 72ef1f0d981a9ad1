"""Watchers: who is told of which change, in which words, without one slow reader costing the others anything.

An event is framed once per representation and the same bytes go to every watcher. Watchers that ask for one object by
name, or for the pods of one node, are found by index, so a thousand of them cost no more than the one that is meant.

Kubernetes: the Cacher's watchers. Transitions: an object that begins to match is ADDED, one that stops matching is
DELETED with its previous content and the new version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from apiserver.reading.stored import Stored, head_of
from wherry.machinery.resource import Kind
from wherry.machinery.selectors import FieldTerms, Requirements

# A watcher that is further behind than this is cut off; its client resumes from the last version it saw. In bytes it
# is what the watch cache remembers of a kind, so that nearly all resume without a look into the store.
MAX_BEHIND = 8192
MAX_BEHIND_BYTES = 8 * 1024 * 1024
# What one chunk to a client holds at most.
CHUNK_BYTES = 64 * 1024

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


class Selection(NamedTuple):
    """What a watcher wants to hear of."""

    namespace: str
    labels: Requirements
    fields: FieldTerms

    @property
    def is_plain(self) -> bool:
        """Whether neither labels nor fields matter."""
        return self.labels.selects_everything and self.fields.selects_everything

    def matches(self, stored: Stored | None) -> bool:
        """Whether the object is selected."""
        if stored is None or (self.namespace and stored.namespace != self.namespace):
            return False
        if not self.labels.matches(stored.labels):
            return False
        return self.fields.selects_everything or self.fields.matches(stored.all_fields)


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

    def begin_with(self, frames: Iterator[bytes]) -> None:
        """The state a watch begins with; made into frames only as the client reads them."""
        self._initial = frames

    def offer(self, event: Event) -> None:
        """Queue what this client should see of an event."""
        selection = self.selection
        if selection.is_plain and not selection.namespace:
            was, now = event.before is not None, event.after is not None
        else:
            was, now = selection.matches(event.before), selection.matches(event.after)
        if now:
            self._push(event, "MODIFIED" if was else "ADDED", event.after)
        elif was:
            self._push(event, "DELETED", event.before)

    def _push(self, event: Event, type: str, stored: Stored | None) -> None:
        framed = event.frames.get((type, self.form))
        if framed is None:
            if stored is None:
                return
            shown = stored.at(event.revision) if type == "DELETED" else stored
            framed = event.frames[type, self.form] = self.frame(type, shown)
        self.put(framed)

    def put(self, framed: bytes) -> None:
        """Queue bytes; a client too far behind is cut."""
        if self.has_ended:
            return
        self._waiting.append(framed)
        self._waiting_bytes += len(framed)
        if len(self._waiting) > MAX_BEHIND or self._waiting_bytes > MAX_BEHIND_BYTES:
            self._initial = iter(())
            self._waiting.clear()
            self.end()
            self._on_cut()
        self._more.set()

    def end(self) -> None:
        """No more events: the stream ends after what waits."""
        self.has_ended = True
        self._more.set()

    @property
    def has_chunk(self) -> bool:
        """Whether a whole chunk waits."""
        return self._waiting_bytes >= CHUNK_BYTES

    def take(self) -> bytes:
        """What waits, at most a chunk of it; empty if nothing does."""
        taken: list[bytes] = []
        size = 0
        for framed in self._initial:
            taken.append(framed)
            size += len(framed)
            if size >= CHUNK_BYTES:
                return b"".join(taken)
        waiting = self._waiting
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
            await self._more.wait()
        return chunk


class Watchers:
    """The watchers of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._all: dict[Watcher, None] = {}
        self._by_field: dict[tuple[str, str], dict[Watcher, None]] = {}

    def __len__(self) -> int:
        return len(self._all) + sum(map(len, self._by_field.values()))

    def end(self) -> None:
        """End every stream: the kind is gone."""
        for watcher in [*self._all, *(each for found in self._by_field.values() for each in found)]:
            watcher.end()

    def add(self, watcher: Watcher) -> None:
        """Begin to tell this one."""
        place = _place_of(watcher)
        home = self._by_field.setdefault(place, {}) if place else self._all
        home[watcher] = None

    def discard(self, watcher: Watcher) -> None:
        """Stop telling this one."""
        place = _place_of(watcher)
        home = self._by_field.get(place, {}) if place else self._all
        home.pop(watcher, None)
        if place and not home:
            self._by_field.pop(place, None)

    def dispatch(self, event: Event) -> None:
        """Offer an event to everyone it may concern."""
        for watcher in list(self._all):
            watcher.offer(event)
        if self._by_field:
            for watcher in self._indexed(event):
                watcher.offer(event)

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


def _place_of(watcher: Watcher) -> tuple[str, str] | None:
    """The index entry of a watcher that wants one name or one node."""
    for field in INDEXED:
        value = watcher.selection.fields.required(field)
        if value is not None:
            return field, value
    return None
