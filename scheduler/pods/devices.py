"""What a pod's claims, and its wish for a part of a card, ask of a node: made by `scheduler/devices/lookup.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wherry.api.core.pod.spec import NodeSelector


class DeviceNeeds(NamedTuple):
    """All claims of a pod. `problem`: why it can go nowhere for now, and `is_early` if its claims are still to be made;
    `reachable`: where those can be used that have their devices; `nodes`: where the others can get theirs (None: there
    are no others), and how many `cards` those are. `sharing`: where there is a card of which it can have the part that
    it wants (None: it wants none), and `shared` where such a card is in use; `largest` is the largest part that there
    is anywhere else, in bytes.
    """

    problem: str = ""
    reachable: tuple[NodeSelector, ...] = ()
    nodes: tuple[str, ...] | None = None
    sharing: tuple[str, ...] | None = None
    shared: tuple[str, ...] = ()
    largest: int = 0
    cards: int = 0
    is_early: bool = False

    def also_at(self, nodes: Iterable[str]) -> DeviceNeeds:
        """The same, and it can have what it wants there, too."""
        if self.sharing is None:
            return self._replace(nodes=tuple(sorted({*(self.nodes or ()), *nodes})))
        sharing, shared = sorted({*self.sharing, *nodes}), sorted({*self.shared, *nodes})
        return self._replace(sharing=tuple(sharing), shared=tuple(shared))


NO_DEVICES = DeviceNeeds()
