"""Tables: the scheduler's own snapshot as the boards on which gangs are planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from scheduler.chooser import Chooser
from scheduler.devices.absence import Absence
from scheduler.devices.grants import Kept
from scheduler.devices.room import Devices
from scheduler.explaining.text import record_of
from scheduler.gangs.making_way import Offer
from scheduler.gangs.plan import Found, Place
from scheduler.pods import PodView
from scheduler.sharing.limits import Limits
from scheduler.snapshot import Snapshot


class Tables:
    """The board on which a gang is planned.

    `explains` says whether there is time to keep everything about the next decision.
    """

    by_name = True

    def __init__(
        self,
        snapshot: Snapshot,
        chooser: Chooser,
        devices: Devices,
        limits: Limits,
        explains: Callable[[], bool] = lambda: False,
    ) -> None:
        self._snapshot, self._chooser, self._devices = snapshot, chooser, devices
        self._limits, self._explains = limits, explains

    def find(self, pod: PodView) -> Found:
        """The best node now."""
        explains = self._explains()
        choice, record, decision, *_ = self._chooser.choose(pod, explains=explains, preempts=False)
        return Found(choice, decision, record_of(decision) if explains and decision is not None else record)

    def options(self, pod: PodView) -> Sequence[str]:
        """All nodes that can hold the pod now, the best first."""
        return self._chooser.options(pod)

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod counts on the node."""
        with self._chooser.making_way(pod):
            if not self._devices.grants.put(pod, node, by_name=self.by_name):
                return False
        self._snapshot.place(pod, node)
        self._limits.hold(pod)
        return True

    def lift(self, pod: PodView) -> None:
        """The pod does not count any more."""
        self._snapshot.remove(pod.uid)
        self._limits.drop(pod.uid)
        self._devices.grants.lift(pod)

    def settle(self, places: Sequence[Place]) -> bool:
        """From now on all of these count on their nodes, and for good; False if they cannot, and then none does."""
        put: list[PodView] = []
        for pod, node, *_ in places:
            if not self.put(pod, node):
                for other in reversed(put):
                    self.lift(other)
                return False
            put.append(pod)
        self._devices.grants.settle()
        return True

    def held(self, places: Sequence[Place]) -> Mapping[str, Kept]:
        """What these pods, who all fit, would have of devices there."""
        put: list[Place] = []
        try:
            put += (place for place in places if self.put(place.pod, place.node))
            return {place.pod.uid: self._devices.grants.had_by(place.pod, place.node) for place in put}
        finally:
            for place in reversed(put):
                self.lift(place.pod)

    def is_whole(self, kept: Kept) -> bool:
        """Whether devices that are kept for a pod are there still, and in order."""
        return self._devices.grants.is_whole(kept)

    def give_up_elsewhere(self, pods: Sequence[PodView]) -> None:
        """These pods cannot go where their claims are: what only they use is given back."""
        self._devices.give_up_elsewhere(pods)

    @property
    def absence(self) -> Absence:
        """What becomes free of cards when pods leave, in thought."""
        return self._devices.absence

    def fits_but_for_others(self, pod: PodView, node: str) -> bool:
        """Whether the pod fits on the node, or would if others left."""
        return self._chooser.lacks_only_amounts(pod, node)

    def without_devices(self) -> Amounts:
        """The same, for thinking about what is still in use: who counts cards may count those that others have."""
        return Amounts(self._snapshot, self._chooser, self._devices, self._limits)


class Amounts(Tables):
    """The board on which cards are counted, not named, and from which pods can be sent away in thought."""

    by_name = False

    def offer(self, pod: PodView) -> Offer:
        """What there is for a pod now."""
        choice, _, decision, preemption, *_ = self._chooser.choose(pod)
        return Offer(choice.node if choice else "", decision, preemption)

    def send_away(self, victims: Iterable[PodView]) -> None:
        """From now on these are gone."""
        for victim in victims:
            self._snapshot.remove(victim.uid)
            self._limits.drop(victim.uid)

    def call_back(self, victims: Iterable[PodView], node: str) -> None:
        """From now on these are on the node again."""
        for victim in victims:
            self._snapshot.place(victim, node)
            self._limits.hold(victim)
