"""What a pod's claims ask of a node. Made of the cluster's claims and volumes by `scheduler/volumes/lookup.py`."""

from __future__ import annotations

from typing import NamedTuple

from scheduler.pods.attachable import Attachable
from scheduler.pods.disks import Disk
from wherry.api.core.pod.spec import NodeSelector


class Candidate(NamedTuple):
    """A free volume that would suit a claim, and from where it can be reached (None: from everywhere)."""

    volume: str
    reachable: NodeSelector | None


class Unbound(NamedTuple):
    """A claim that gets its volume where the pod goes: one of the `candidates`, or a new one if its class `makes` any.

    A claim for which a node was chosen already has it in `selected`; `where` is where the class makes volumes at all,
    and `room` where its driver has room for one (None: everywhere, or nobody knows).
    """

    claim: str
    candidates: tuple[Candidate, ...] = ()
    makes: bool = False
    where: NodeSelector | None = None
    selected: str = ""
    room: NodeSelector | None = None


# The labels of volumes and nodes that say where they are, the old names too.
ZONE_KEYS = (
    *("topology.kubernetes.io/zone", "topology.kubernetes.io/region"),
    *("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"),
)


class VolumeNeeds(NamedTuple):
    """All claims of a pod. `problem`: why it can go nowhere for now; `reachable`: from where bound volumes are.

    `zones`: labels that its node must have, with one of these values; `exclusive`: claims that no other pod may use;
    `limited`: drivers of which some node takes only so many volumes, with those of them; `disks`: those
    that the pod names itself.
    """

    problem: str = ""
    reachable: tuple[NodeSelector, ...] = ()
    unbound: tuple[Unbound, ...] = ()
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclusive: tuple[str, ...] = ()
    limited: tuple[tuple[str, tuple[Attachable, ...]], ...] = ()
    disks: tuple[Disk, ...] = ()


NO_VOLUMES = VolumeNeeds()
