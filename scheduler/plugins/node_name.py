"""Keep a pod that names its node off all others. Kubernetes: NodeName."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.columns import Columns
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added
from wherry.api.core.node import Node


class NodeName(Plugin):
    """Keep a pod that names its node off all others."""

    order = 20
    reads = ("spec.node_name",)
    judges_one_by_one = True
    retry_when = (Added(Node),)

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        if pod.spec.node_name:
            yield Verdict(nodes.name.is_in([pod.spec.node_name]), "node(s) didn't match the requested node name")
