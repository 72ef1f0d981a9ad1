"""Journal: the store of a simulated cluster. It tells of every write, at the moment it happens, and who asked for it.

    journal = Journal()
    journal.subscribe(lambda write: print(write.actor, write.resource, write.name))

Transcripts, invariants and crashes after the n-th write are subscribers. They see more than a client's watch shows:
all kinds in one order, and nothing in between is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Entry

# Whose request the current task serves; the API server's own work is nobody's.
requested_by = ContextVar("requested_by", default="")

HEARTBEATS = "leases"
# Resources whose folder in the store is two levels deep, as in Kubernetes' own layout.
_DEEP = ("services",)

Object = dict[str, Any]


@dataclass(frozen=True)
class Write:
    """One write. `actor` is the user who asked; `at` is the loop's time."""

    at: float
    actor: str
    key: str
    revision: int
    before_json: bytes | None
    after_json: bytes | None

    @property
    def resource(self) -> str:
        """The folder of the kind in the store: `pods`, `minions` (the nodes), `services/specs`, …"""
        first, second = self.key.removeprefix("/registry/").split("/")[:2]
        return f"{first}/{second}" if first in _DEEP else first

    @cached_property
    def before(self) -> Object | None:
        """The object as it was; None if this write created it."""
        return json.loads(self.before_json) if self.before_json is not None else None

    @cached_property
    def after(self) -> Object | None:
        """The object as it is now; None if this write deleted it."""
        return json.loads(self.after_json) if self.after_json is not None else None


Subscriber = Callable[[Write], None]


class Journal(MemoryStore):
    """See the module. `last_at` is when something other than a heartbeat was last written."""

    def __init__(self) -> None:
        super().__init__()
        self.last_at = 0.0
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call for every write from now on, before anybody else can see it. Subscribers do not write."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Call no more."""
        self._subscribers.remove(subscriber)

    def _write(self, key: str, value: bytes | None, found: Entry | None) -> int:
        # Here and not around `put`: a writer that is killed between the write and its answer has written.
        revision = super()._write(key, value, found)
        at = asyncio.get_running_loop().time()
        write = Write(at, requested_by.get(), key, revision, found.value if found else None, value)
        if write.resource != HEARTBEATS:
            self.last_at = at
        for subscriber in list(self._subscribers):
            subscriber(write)
        return revision
