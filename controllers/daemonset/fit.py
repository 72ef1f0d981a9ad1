"""Which nodes a DaemonSet's pod is meant for. Kubernetes: NodeShouldRunDaemonPod."""

from __future__ import annotations

from typing import Any, NamedTuple

from controllers.nodes.taint_eviction import tolerates
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Toleration
from wherry.api.storage.volume_matching import selects

Json = dict[str, Any]

_PREFIX = "node.kubernetes.io/"
_NO_EXECUTE = ("not-ready", "unreachable")
_NO_SCHEDULE = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


class Fit(NamedTuple):
    """Whether a pod should be made for the node, and whether one that is there may stay."""

    runs: bool
    stays: bool


def automatic_tolerations(host_network: bool) -> list[Json]:
    """What daemons live with, as JSON: they are there to mend such things, or must be where they happen."""
    effects = dict.fromkeys(_NO_EXECUTE, "NoExecute") | dict.fromkeys(_NO_SCHEDULE, "NoSchedule")
    if host_network:
        effects["network-unavailable"] = "NoSchedule"
    return [{"key": _PREFIX + name, "operator": "Exists", "effect": effect} for name, effect in effects.items()]


class Fits:
    """Judges nodes for one DaemonSet; what follows from its template is worked out once."""

    def __init__(self, ds: DaemonSet) -> None:
        self._spec = ds.spec.template.spec
        added = automatic_tolerations(self._spec.host_network)
        self._tolerations = (*self._spec.tolerations, *map(Toleration.read, added))
        affinity = self._spec.affinity.node_affinity
        self._required = affinity.required_during_scheduling_ignored_during_execution if affinity else None

    def on(self, node: Node) -> Fit:
        """Whether the node's name, labels and taints suit the pod."""
        if not self._is_meant_for(node):
            return Fit(runs=False, stays=False)
        effects = {
            taint.effect
            for taint in node.spec.taints
            if not any(tolerates(toleration, taint) for toleration in self._tolerations)
        }
        return Fit(runs=not effects & {"NoSchedule", "NoExecute"}, stays="NoExecute" not in effects)

    def _is_meant_for(self, node: Node) -> bool:
        if self._spec.node_name not in ("", node.metadata.name):
            return False
        if not self._spec.node_selector.items() <= node.metadata.labels.items():
            return False
        return self._required is None or selects(self._required, node)
