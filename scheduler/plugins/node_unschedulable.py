"""Keep pods off cordoned nodes. Kubernetes: NodeUnschedulable."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.columns import Columns
from scheduler.columns.tolerations import tolerates
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed
from wherry.api.core.node import Node

CORDON = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(Plugin):
    """Keep pods off cordoned nodes, but for those that tolerate the taint a cordon stands for."""

    order = 10
    reads = ("spec.tolerations",)
    judges_one_by_one = True
    retry_when = (Added(Node), Changed(Node, "spec.unschedulable"))

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        if not tolerates(pod.spec.tolerations, CORDON):
            yield Verdict(~nodes.unschedulable, "node(s) were unschedulable")
