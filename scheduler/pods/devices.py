"""What a pod's claims on devices ask of a node. Made of claims and slices by `scheduler/devices/lookup.py`."""

from __future__ import annotations

from typing import NamedTuple

from wherry.api.core.pod.spec import NodeSelector


class DeviceNeeds(NamedTuple):
    """All claims of a pod. `problem`: why it can go nowhere for now; `reachable`: where those can be used that have
    their devices; `nodes`: where the others can get theirs (None: there are no others).
    """

    problem: str = ""
    reachable: tuple[NodeSelector, ...] = ()
    nodes: tuple[str, ...] | None = None


NO_DEVICES = DeviceNeeds()
