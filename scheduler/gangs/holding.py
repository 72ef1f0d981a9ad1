"""Holding: the room that is kept for a gang that waits, so that small pods do not eat it for ever.

One gang at a time has it: of those that have waited for a while, the most important one, and of these the one that is
complete the longest. The room is kept as for a pod whose victims are on their way out: its pods are nominated for their
nodes, which `kubectl get pods -o wide` shows. It is kept until the gang has its nodes, is not complete any more, or a
node will not do any longer; who will be gone before the gang can start may use it until then. When somebody leaves, on
whichever node, the gang is looked at before anybody else: it gets other room if it has to wait for fewer pods there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from scheduler.gangs.reservation import Leaving, Reservation, gone_at, reserve
from scheduler.gangs.tables import Amounts
from scheduler.pods import PodView
from scheduler.preemption.preemptor import Preemptor
from scheduler.reporter import Reporter
from scheduler.snapshot import Snapshot
from wherry.client import clock

log = structlog.get_logger()

# To seek other room takes long where nodes and pods are many.
BETWEEN_LOOKS = timedelta(seconds=5)


class Wanted(NamedTuple):
    """A gang that waits: its pods, how many are needed, since when it is complete, how long it is to wait at least."""

    key: str
    pods: Sequence[PodView]
    needed: int
    since: datetime
    patience: timedelta

    @property
    def rank(self) -> tuple[int, datetime]:
        """Less is sooner."""
        return -min(pod.spec.priority for pod in self.pods), self.since


class Holding:
    """See the module. `again` is called when it is worth it to look at a gang once more."""

    def __init__(
        self, snapshot: Snapshot, preemptor: Preemptor, reporter: Reporter, again: Callable[[str], None]
    ) -> None:
        self._snapshot, self._preemptor, self._reporter, self._again = snapshot, preemptor, reporter, again
        self._nominations = preemptor.nominations
        self._holder: Wanted | None = None
        self._room: Reservation | None = None
        self._timers: set[str] = set()
        self._has_news, self._looked_at = False, datetime.min.replace(tzinfo=UTC)
        self._nominations.lent_to = self._lent_to

    def consider(self, gang: Wanted, board: Amounts, fits_otherwise: Callable[[PodView, str], bool]) -> None:
        """This gang does not fit now: keep room for it, if it is its turn to have some.

        `fits_otherwise` says whether only amounts keep a pod off a node.
        """
        now = clock.now()
        if self._holder is not None and self._room is not None:
            is_there = all(map(board.is_whole, self._room.kept.values()))
            if self._holder.key == gang.key and is_there and all(fits_otherwise(*place) for place in self._room.places):
                if not self._is_better_off(gang, board, now):
                    self._nominate(self._room)
                return
            if self._holder.key != gang.key and self._holder.rank <= gang.rank:
                return
        if (left := gang.since + gang.patience - now) > timedelta():
            self._look_again(gang.key, left)
            return
        self.drop(self._holder.key if self._holder else "")
        room = self._sought(gang, board, now)
        if room is not None:
            self._take(gang, room)

    def somebody_left(self) -> None:
        """A pod has left a node, perhaps not one of those where room is kept."""
        self._has_news = True

    def comes_first(self) -> str:
        """The gang with room that is to be looked at before anybody else, since somebody left; empty if none is."""
        if self._holder is None or not self._has_news or clock.now() < self._looked_at + BETWEEN_LOOKS:
            return ""
        self._has_news = False
        return self._holder.key

    def _sought(self, gang: Wanted, board: Amounts, now: datetime) -> Reservation | None:
        self._looked_at = now
        leaving = Leaving(self._others(gang), self._snapshot, now, board.absence)
        return reserve(gang.pods, gang.needed, board, leaving)

    def _take(self, gang: Wanted, room: Reservation) -> None:
        self._holder, self._room = gang, room
        nodes = sorted({node for _, node in room.places})
        log.info("reserve", pod_group=gang.key, nodes=nodes, starts_at=room.starts_at)
        self._nominate(room)
        for pod, node in room.places:
            self._reporter.nominated(pod.pod, node)

    def _is_better_off(self, gang: Wanted, board: Amounts, now: datetime) -> bool:
        """Whether by now there is room for which fewer pods have to leave; then it is kept instead."""
        if self._room is None or now < self._looked_at + BETWEEN_LOOKS:
            return False
        still = sum(1 for uid in self._room.waits_for if self._snapshot.node_of(uid) is not None)
        room = self._sought(gang, board, now) if still else None
        if room is None or len(room.waits_for) >= still:
            return False
        moved = {pod.uid for pod, _ in room.places}
        for pod, _ in self._room.places:
            if pod.uid not in moved:
                self._reporter.nominated(pod.pod, "")
        self._take(gang, room)
        return True

    def drop(self, key: str) -> None:
        """The gang needs no room any more, or is not the one to have it."""
        if self._holder is None or self._room is None or self._holder.key != key:
            return
        room, self._holder, self._room = self._room, None, None
        for pod, _ in room.places:
            if pod.uid in self._nominations:
                self._reporter.nominated(pod.pod, "")
                self._preemptor.withdraw(pod)

    def forget(self, key: str) -> None:
        """The gang has been promised other room."""
        if self._holder is not None and self._holder.key == key:
            self._holder = self._room = None

    def _nominate(self, room: Reservation) -> None:
        for pod, node in room.places:
            self._nominations.nominate(pod, node, room.kept.get(pod.uid))

    def _others(self, gang: Wanted) -> list[tuple[PodView, str]]:
        own = {pod.uid for pod in gang.pods}
        return [
            (pod, node)
            for node in self._snapshot.columns.names
            for pod in self._snapshot.pods_on(node).values()
            if pod.uid not in own and pod.uid not in self._nominations
        ]

    def _lent_to(self, pod: PodView) -> Collection[str]:
        """Whose nominations a pod may pass over, because it will be gone in time."""
        if self._room is None or self._room.starts_at is None:
            return ()
        gone = gone_at(pod, clock.now())
        if gone is None or gone > self._room.starts_at:
            return ()
        return [other.uid for other, _ in self._room.places]

    def _look_again(self, key: str, left: timedelta) -> None:
        def now_it_is_time() -> None:
            self._timers.discard(key)
            self._again(key)

        if key not in self._timers:
            self._timers.add(key)
            asyncio.get_running_loop().call_later(left.total_seconds(), now_it_is_time)
