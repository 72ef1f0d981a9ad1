"""Watchers: who is told of which change, in which words, without one slow reader costing the others anything.

An event is framed once per representation and the same bytes go to every watcher. Watchers that ask for one object by
name, or for the pods of one node, are found by index, so a thousand of them cost no more than the one that is meant.

Kubernetes: the Cacher's watchers. Transitions: an object that begins to match is ADDED, one that stops matching is
DELETED with its previous content and the new version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from apiserver.stored import Stored, head_of
from wherry.machinery.resource import Kind
from wherry.machinery.selectors import FieldTerms, Requirements

# A watcher that is further behind than this is cut off; its client resumes from the last version it saw.
MAX_BEHIND = 8192
MAX_BEHIND_BYTES = 16 * 1024 * 1024
# What one chunk to a client holds at most.
CHUNK_BYTES = 256 * 1024

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
    """One client's place in the stream. `form` names the representation; equal forms share frames."""

    def __init__(self, selection: Selection, frame: Frame, form: object = "") -> None:
        self.selection = selection
        self.frame = frame
        self.form = form
        self.cut = False
        self.revision = 0  # of the last event that was looked at, sent or not
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0  # of events, not of what was there at the beginning
        self._begun_with = 0
        self._more = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Queue what this client should see of an event."""
        self.revision = event.revision
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

    def preload(self, frames: Iterable[bytes]) -> None:
        """Queue the state a watch begins with, however much it is."""
        self._waiting.extend(frames)
        self._begun_with = len(self._waiting)

    def put(self, framed: bytes) -> None:
        """Queue bytes; a client too far behind is cut."""
        self._waiting.append(framed)
        self._waiting_bytes += len(framed)
        if len(self._waiting) > MAX_BEHIND + self._begun_with or self._waiting_bytes > MAX_BEHIND_BYTES:
            self.end()
            self._waiting.clear()
        self._more.set()

    def end(self) -> None:
        """No more events: the stream ends after what waits."""
        self.cut = True
        self._more.set()

    async def chunk(self) -> bytes:
        """The next bytes for the client; empty at the end of the stream."""
        while not self._waiting:
            if self.cut:
                return b""
            self._more.clear()
            await self._more.wait()
        if len(self._waiting) == 1:
            self._waiting_bytes = self._begun_with = 0
            return self._waiting.popleft()
        taken: list[bytes] = []
        size = 0
        while self._waiting and size < CHUNK_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1])
        self._waiting_bytes = max(self._waiting_bytes - size, 0) if self._waiting else 0
        self._begun_with = min(self._begun_with, len(self._waiting))
        return b"".join(taken)


class Watchers:
    """The watchers of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._all: dict[Watcher, None] = {}
        self._by_field: dict[tuple[str, str], dict[Watcher, None]] = {}

    def __len__(self) -> int:
        return len(self._all) + sum(map(len, self._by_field.values()))

    def add(self, watcher: Watcher) -> None:
        """Begin to tell this one."""
        self._home(watcher)[watcher] = None

    def discard(self, watcher: Watcher) -> None:
        """Stop telling this one."""
        self._home(watcher).pop(watcher, None)
        for place in [place for place, held in self._by_field.items() if not held]:
            del self._by_field[place]

    def _home(self, watcher: Watcher) -> dict[Watcher, None]:
        for field in INDEXED:
            value = watcher.selection.fields.required(field)
            if value is not None:
                return self._by_field.setdefault((field, value), {})
        return self._all

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

    def everyone(self) -> list[Watcher]:
        """All of them, for bookmarks and shutdown."""
        return [*self._all, *(watcher for held in self._by_field.values() for watcher in held)]
