"""Which room a gang waits for, and from when on it can have it at the latest. Pure.

    found = reserve(pods, needed, board, Leaving(placed, snapshot, now))
    found.places, found.starts_at

Pods that run now are thought away, in the order in which they will be gone, until the gang fits: first those whose
time is limited, by its end; then those that will end some day, on the nodes that have the fewest of them. Who never
ends is not waited for. If the last one to go has a time, the gang starts at it at the latest, and whoever is gone by
then may use the room until then: that is conservative back-fill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from scheduler.devices.absence import Absence
from scheduler.devices.grants import Kept
from scheduler.gangs.plan import Board, assemble
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot

# Who goes is sought among so many pods; to think away more takes longer than it is worth.
MOST_LEAVING = 2000
# What a kubelet may need to notice that a pod's time is over.
LATE = timedelta(seconds=10)

Placed = tuple[PodView, str]


class Reservation(NamedTuple):
    """Where the pods of a gang will go, and when at the latest; None: nobody knows when those in the way end.

    `waits_for` are the pods, by uid, that are on these nodes and have to leave before.
    """

    places: tuple[Placed, ...]
    starts_at: datetime | None
    waits_for: frozenset[str] = frozenset()
    # The devices that each pod will have, by its uid.
    kept: Mapping[str, Kept] = {}


def gone_at(pod: PodView, now: datetime) -> datetime | None:
    """When a pod, placed by `now`, is gone at the latest; None if its time is not limited."""
    if pod.metadata.deleted_at is not None:
        return max(pod.metadata.deleted_at, now)
    seconds = pod.spec.active_deadline_seconds
    if seconds is None:
        return None
    began = pod.pod.status.start_time or now
    return began + timedelta(seconds=seconds + pod.spec.termination_grace_period_seconds) + LATE


def reserve(pods: Sequence[PodView], needed: int, board: Board, leaving: Leaving) -> Reservation | None:
    """The first room that the gang can have when others leave; None if it would not even fit then."""
    try:
        if not _fits_after(len(leaving), pods, needed, board, leaving):
            return None
        low, high = 0, len(leaving)
        while low < high:
            middle = (low + high) // 2
            if _fits_after(middle, pods, needed, board, leaving):
                high = middle
            else:
                low = middle + 1
        leaving.think_away(low)
        places = assemble(pods, needed, board).places
        nodes = {place.node for place in places}
        found = tuple((place.pod, place.node) for place in places)
        return Reservation(found, leaving.time_of(low), leaving.first(low, nodes), board.held(places))
    finally:
        leaving.think_away(0)


def _fits_after(number: int, pods: Sequence[PodView], needed: int, board: Board, leaving: Leaving) -> bool:
    leaving.think_away(number)
    return bool(assemble(pods, needed, board).places)


class Leaving:
    """Pods that will be gone, in that order; the first so many can be thought away, with the cards they have."""

    def __init__(
        self, placed: Iterable[Placed], snapshot: Snapshot, now: datetime, absence: Absence | None = None
    ) -> None:
        self._snapshot, self._absence, self._gone = snapshot, absence, 0
        known: list[tuple[datetime, Placed]] = []
        open_ended: list[Placed] = []
        for pod, node in placed:
            if (at := gone_at(pod, now)) is not None:
                known.append((at, (pod, node)))
            elif _ends_some_day(pod):
                open_ended.append((pod, node))
        known.sort(key=lambda one: (one[0], one[1][0].key))
        self._times = [at for at, _ in known]
        self._pods = [one for _, one in known] + _emptiest_first(open_ended)
        del self._pods[MOST_LEAVING:]

    def __len__(self) -> int:
        return len(self._pods)

    def think_away(self, number: int) -> None:
        """From now on the first so many are not there, and all others are."""
        while self._gone < number:
            pod, _ = self._pods[self._gone]
            self._snapshot.remove(pod.uid)
            if self._absence is not None:
                self._absence.leave(pod)
            self._gone += 1
        while self._gone > number:
            self._gone -= 1
            pod, node = self._pods[self._gone]
            self._snapshot.place(pod, node)
            if self._absence is not None:
                self._absence.come_back(pod)

    def first(self, number: int, nodes: Collection[str]) -> frozenset[str]:
        """Those of the first so many that are on these nodes, by uid."""
        return frozenset(pod.uid for pod, node in self._pods[:number] if node in nodes)

    def time_of(self, number: int) -> datetime | None:
        """When the first so many are gone; None if nobody knows, or there is nobody to wait for."""
        return self._times[number - 1] if 0 < number <= len(self._times) else None


def _ends_some_day(pod: PodView) -> bool:
    owners = [owner for owner in pod.metadata.owner_references if owner.controller]
    return not owners or owners[0].kind == "Job"


def _emptiest_first(placed: Iterable[Placed]) -> list[Placed]:
    ordered = sorted(placed, key=lambda one: (one[1], one[0].key))
    nodes = [list(pods) for _, pods in groupby(ordered, key=lambda one: one[1])]
    return [one for pods in sorted(nodes, key=len) for one in pods]
