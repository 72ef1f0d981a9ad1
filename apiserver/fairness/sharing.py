"""How priority levels share the server: each has seats of its own by its shares, and borrows what others lend.

Differs: seats are lent and taken back with every request, where Kubernetes decides every ten seconds, and the last ones
only to flows that have none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from apiserver.fairness.classification import Wanted, flow_of, matches, wanted_of
from apiserver.fairness.levels import Level, flow_named
from apiserver.request import Request, User
from wherry.api.flowcontrol.flow_schema import FlowSchema
from wherry.api.flowcontrol.priority_level_configuration import PriorityLevelConfiguration

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import WatchCache

# Classifications remembered at a time; they are forgotten when a schema or level changes.
REMEMBERED = 20_000
# Paths are the clients' to choose, also of those who may do nothing: longer ones are looked at each time.
LONGEST_REMEMBERED = 512
# One seat of so many is kept for flows that have none.
KEPT_PART = 10
_CATCH_ALL = "catch-all"

Headers = tuple[tuple[bytes, bytes], ...]


class Place(NamedTuple):
    """Where a request belongs: its level, its flow there, and the headers that tell its client."""

    level: Level
    flow: str
    headers: Headers
    schema: str


_UNKNOWN = Place(Level(""), "", (), "")


class Sharing:
    """The levels of one server. `seats` requests run at once; those that are exempt do not count."""

    def __init__(self, cache: WatchCache, seats: int) -> None:
        self._seats = seats
        self._schema_cache, self._level_cache = cache.of(FlowSchema), cache.of(PriorityLevelConfiguration)
        self._seen = (-1, -1)
        self._schemas: list[tuple[FlowSchema, Level]] = []
        self.levels: dict[str, Level] = {}
        self._places: dict[tuple[Any, ...], Place | None] = {}

    def place_of(self, request: Request) -> Place | None:
        """Where a request belongs; None before a cluster has any levels."""
        if self._schema_cache.revision != self._seen[0] or self._level_cache.revision != self._seen[1]:
            self._seen = (self._schema_cache.revision, self._level_cache.revision)
            self._configure()
        target = request.target
        if target is None:
            key: tuple[Any, ...] = (request.user, request.verb, request.path)
        else:
            group, _, plural, namespace, _, subresource = target
            key = (request.user, request.verb, group, plural, subresource, namespace)
        place = self._places.get(key, _UNKNOWN)
        if place is _UNKNOWN and len(request.path) > LONGEST_REMEMBERED:
            place = self._find(request.user, wanted_of(request))
        elif place is _UNKNOWN:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            place = self._places[key] = self._find(request.user, wanted_of(request))
        return place

    def _find(self, user: User, wanted: Wanted) -> Place | None:
        chosen = next((each for each in self._schemas if matches(each[0], user, wanted)), None)
        if chosen is None:
            chosen = next((each for each in self._schemas if each[0].metadata.name == _CATCH_ALL), None)
        if chosen is None:
            return None
        schema, level = chosen
        name = schema.metadata.name
        flow = flow_named(name, flow_of(schema, user, wanted))
        headers = (
            (b"x-kubernetes-pf-flowschema-uid", schema.metadata.uid.encode()),
            (b"x-kubernetes-pf-prioritylevel-uid", level.uid.encode()),
        )
        return Place(level, flow, headers, name)

    def schemas_of(self, level: Level) -> list[str]:
        """The names of the flow schemas that lead to a level."""
        return [schema.metadata.name for schema, leads_to in self._schemas if leads_to is level]

    def _configure(self) -> None:
        read = PriorityLevelConfiguration.read
        configured = {stored.name: read(stored.item) for stored in self._level_cache.objects()}
        shares = {name: _shares(level) for name, level in configured.items()}
        total = sum(shares.values()) or 1
        self.levels = {name: self.levels.get(name) or Level(name) for name in configured}
        for name, level in self.levels.items():
            level.configure(configured[name], -(-self._seats * shares[name] // total))
        schemas = [FlowSchema.read(stored.item) for stored in self._schema_cache.objects()]
        schemas.sort(key=lambda schema: (schema.spec.matching_precedence, schema.metadata.name))
        named = ((schema, schema.spec.priority_level_configuration.name) for schema in schemas)
        self._schemas = [(schema, self.levels[name]) for schema, name in named if name in self.levels]
        self._places.clear()
        self._wake()

    def may_start(self, level: Level, is_only: bool) -> bool:
        """Whether a level may run one more request: on a seat of its own, or on one that others lend.

        The last ones are lent only to flows of which no other request is under way.
        """
        if level.executing < level.nominal - level.lendable:
            return True
        if level.limit is not None and level.executing >= level.limit:
            return False
        taken = sum(
            max(each.executing, each.nominal - each.lendable) for each in self.levels.values() if each.is_limited
        )
        return taken < self._seats - (0 if is_only else self._seats // KEPT_PART)

    async def enter(self, place: Place) -> None:
        """Begin a request; raises TooManyRequests."""
        try:
            await place.level.enter(place.flow, self.may_start)
        except asyncio.CancelledError:
            self._wake()  # a seat that was meant for it may go to the next
            raise

    def leave(self, place: Place) -> None:
        """End a request; whoever waits may have its seat."""
        place.level.leave(place.flow)
        place.level.dispatched[place.schema] += 1
        self._wake()

    def _wake(self) -> None:
        for level in self.levels.values():
            while level.waiting and level.start_next(self.may_start):
                pass


def _shares(level: PriorityLevelConfiguration) -> int:
    settings = level.spec.limited or level.spec.exempt
    return (settings.nominal_concurrency_shares or 0) if settings else 0
