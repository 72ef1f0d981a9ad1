"""Nominations: room that is kept for pods that wait for their victims to go, or that somebody promised a node.

A nominated pod counts on its node as if it were there, so nobody of the same or a lower priority takes its place. Who
is more important is planned as if it were not there. Devices are kept by name for who claims them or wants parts of
cards, and by number for who counts them.

Kubernetes: the nominator, with status.nominatedNodeName, and RunFilterPluginsWithNominatedPods.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from scheduler.devices.grants import Grants, Kept
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot


class Nomination(NamedTuple):
    """A pod and the node where it will go when others have left."""

    pod: PodView
    node: str
    kept: Kept | None = None


class Nominations:
    """See the module. They stand in the snapshot, but no other pod's victim is ever one of them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._by_priority: dict[int, dict[str, Nomination]] = {}
        self._priority_of: dict[str, int] = {}
        # Whose room a pod may use meanwhile, because it will be gone before they need it.
        self.lent_to: Callable[[PodView], Collection[str]] = lambda _: ()
        # Where what is kept of devices is written down.
        self.grants: Grants | None = None

    def __contains__(self, uid: str) -> bool:
        return uid in self._priority_of

    def __len__(self) -> int:
        return len(self._priority_of)

    def node_of(self, uid: str) -> str:
        """The node a pod is nominated for; empty if there is none."""
        priority = self._priority_of.get(uid)
        return "" if priority is None else self._by_priority[priority][uid].node

    def nominate(self, pod: PodView, node: str, kept: Kept | None = None) -> None:
        """Keep room for a pod on a node, and no longer elsewhere, and these devices, or what it would get."""
        self.withdraw(pod.uid)
        if kept is None and self.grants is not None:
            kept = self.grants.worth_keeping(pod, node)
        nomination = Nomination(pod, node, kept)
        self._priority_of[pod.uid] = pod.spec.priority
        self._by_priority.setdefault(pod.spec.priority, {})[pod.uid] = nomination
        self._put(nomination)

    def withdraw(self, uid: str) -> Nomination | None:
        """Keep no room for a pod any more; gives the nomination that was."""
        priority = self._priority_of.pop(uid, None)
        if priority is None:
            return None
        of_this_priority = self._by_priority[priority]
        nomination = of_this_priority.pop(uid)
        if not of_this_priority:
            del self._by_priority[priority]
        self._lift(nomination)
        return nomination

    def beneath(self, priority: int) -> list[Nomination]:
        """The nominations of pods that are less important than this."""
        lower = (pods for other, pods in self._by_priority.items() if other < priority)
        return [nomination for pods in lower for nomination in pods.values()]

    @contextmanager
    def making_way(self, pod: PodView) -> Iterator[None]:
        """Meanwhile the snapshot is as this pod finds it: without its own room and that of less important pods."""
        lifted = self.beneath(pod.spec.priority)
        for uid in {pod.uid, *self.lent_to(pod)}:
            priority = self._priority_of.get(uid)
            if priority is not None and priority >= pod.spec.priority:
                lifted.append(self._by_priority[priority][uid])
        with self._lifted(lifted):
            yield

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Meanwhile nobody's room is kept."""
        everybody = (nomination for pods in self._by_priority.values() for nomination in pods.values())
        with self._lifted([each for each in everybody if self._snapshot.node_of(each.pod.uid) is not None]):
            yield

    @contextmanager
    def _lifted(self, nominations: list[Nomination]) -> Iterator[None]:
        for nomination in nominations:
            self._lift(nomination)
        try:
            yield
        finally:
            for nomination in nominations:
                # The pod may have been placed, or nominated elsewhere, in the meantime.
                if self.node_of(nomination.pod.uid) == nomination.node:
                    self._put(nomination)

    def _put(self, nomination: Nomination) -> None:
        self._snapshot.place(nomination.pod, nomination.node)
        if self.grants is not None and nomination.kept is not None:
            self.grants.keep(nomination.pod.uid, nomination.kept)

    def _lift(self, nomination: Nomination) -> None:
        self._snapshot.remove(nomination.pod.uid)
        if self.grants is not None:
            self.grants.release(nomination.pod.uid)
