"""Hints: whom a change that a trigger names could help, where it is known on which node it happened.

A pod that plugins kept off every node, each judging nodes one by one, can go nowhere after such a change but to that
node. So those plugins are asked about this one node, once for all pods that look alike to them, and thousands of pods
that are too big for it sleep on. Whoever may get room in other ways is woken by the trigger alone.

Pure. Kubernetes: QueueingHintFn. Differs: after a pod is gone, it is asked whether what it left is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from scheduler.columns.spot import Spot
from scheduler.framework import Plugin
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from scheduler.triggers import home_of_cards
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.machinery.resource import Resource


class Hints:
    """See the module. `others_matter` says whether room may come to be for reasons that no single node shows."""

    def __init__(
        self, profiles: Mapping[str, Sequence[Plugin]], snapshot: Snapshot, others_matter: Callable[[], bool]
    ) -> None:
        self._snapshot, self._others_matter = snapshot, others_matter
        self._judges = {
            name: {plugin.name: plugin for plugin in plugins if plugin.judges_one_by_one}
            for name, plugins in profiles.items()
        }
        self._reads = {
            name: tuple(dict.fromkeys(path for judge in judges.values() for path in judge.reads))
            for name, judges in self._judges.items()
        }

    def likeness(self, pod: PodView) -> Hashable:
        """Equal for pods that a change on a node helps together, or not at all."""
        name = pod.spec.scheduler_name
        return name, pod.spec.priority, bool(pod.spec.scheduling_group), pod.signature(self._reads[name])

    def judges(self, plugin: str) -> bool:
        """Whether only what happens on a node can make the plugin, by its name, let a pod go there."""
        return any(plugin in judges for judges in self._judges.values())

    def least(self, pod: PodView, rejected_by: frozenset[str]) -> Mapping[str, int]:
        """So much a node must have, or these plugins keep the pod off; nothing of a pod that others could help."""
        least: dict[str, int] = {}
        if not pod.spec.scheduling_group:
            judges = self._judges[pod.spec.scheduler_name]
            for name in rejected_by & judges.keys():
                least.update(judges[name].least(pod))
        return least

    def spot(self, before: Resource | None, after: Resource | None) -> Spot | None:
        """The node on which a change happened; the snapshot shows it already. None: it may help anybody."""
        row = self._snapshot.columns.row_of(_node_of(before, after))
        return None if row is None or self._others_matter() else Spot(self._snapshot.columns, row)

    def could_help(self, plugin: str, pod: PodView, rejected_by: frozenset[str], spot: Spot) -> bool:
        """Whether a change there could lift what a plugin has against a pod that these plugins refused."""
        judges = self._judges[pod.spec.scheduler_name]
        # Pods of a gang change places among themselves: room for another one may be what this one lacks.
        if plugin not in judges or pod.spec.scheduling_group:
            return True
        if judges[plugin].rules_out(pod, spot):
            return False
        # Only a plugin that the pod waits for wakes it later: of the others it is not known what they would say.
        others = (judges[name] for name in rejected_by - {plugin} if name in judges)
        return not any(judge.rules_out(pod, spot) for judge in others)


def _node_of(before: Resource | None, after: Resource | None) -> str:
    """The node that changed, or on which a pod did, or a claim has or had cards; empty if it is something else."""
    for seen in (after, before):
        if isinstance(seen, Node):
            return seen.metadata.name
        if isinstance(seen, Pod) and seen.spec.node_name:
            return seen.spec.node_name
        if isinstance(seen, ResourceClaim) and (node := home_of_cards(seen)):
            return node
    return ""
