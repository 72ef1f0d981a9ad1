"""Tables: the scheduler's own snapshot as the boards on which gangs are planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from scheduler.chooser import Chooser
from scheduler.devices.absence import Absence
from scheduler.devices.room import Devices
from scheduler.explaining.text import record_of
from scheduler.gangs.making_way import Offer
from scheduler.gangs.plan import Found, Place
from scheduler.pods import PodView
from scheduler.sharing.limits import Limits
from scheduler.snapshot import Snapshot


class Tables:
    """The board on which a gang is planned; `view` adds to a pod what its claims ask for.

    `explains` says whether there is time to keep everything about the next decision.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        chooser: Chooser,
        devices: Devices,
        view: Callable[[PodView], PodView],
        limits: Limits,
        explains: Callable[[], bool] = lambda: False,
    ) -> None:
        self._snapshot, self._chooser, self._devices = snapshot, chooser, devices
        self._view, self._limits, self._explains = view, limits, explains

    def find(self, pod: PodView) -> Found:
        """The best node now."""
        explains = self._explains()
        choice, record, decision, _ = self._chooser.choose(self._view(pod), explains=explains, preempts=False)
        return Found(choice, decision, record_of(decision) if explains and decision is not None else record)

    def options(self, pod: PodView) -> Sequence[str]:
        """All nodes that can hold the pod now, the best first."""
        return self._chooser.options(self._view(pod))

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod counts on the node."""
        if not self._devices.grants.put(pod, node):
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

    def give_up_elsewhere(self, pods: Sequence[PodView]) -> None:
        """These pods cannot go where their claims are: what only they use is given back."""
        self._devices.give_up_elsewhere(pods)

    @property
    def absence(self) -> Absence:
        """What becomes free of cards when pods leave, in thought."""
        return self._devices.absence

    def fits_but_for_others(self, pod: PodView, node: str) -> bool:
        """Whether the pod fits on the node, or would if others left."""
        return self._chooser.lacks_only_amounts(self._view(pod), node)

    def without_devices(self) -> Amounts:
        """The same, for thinking about what is still in use: nobody picks cards that others have."""
        return Amounts(self._snapshot, self._chooser, self._devices, self._view, self._limits)


class Amounts(Tables):
    """The board on which amounts are all that counts, and from which pods can be sent away in thought."""

    def offer(self, pod: PodView) -> Offer:
        """What there is for a pod now."""
        choice, _, decision, preemption = self._chooser.choose(self._view(pod))
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

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod counts on the node."""
        self._snapshot.place(pod, node)
        self._limits.hold(pod)
        return True

    def lift(self, pod: PodView) -> None:
        """The pod does not count any more."""
        self._snapshot.remove(pod.uid)
        self._limits.drop(pod.uid)
