"""Keep pods off nodes whose ports they want but others have. Kubernetes: NodePorts."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.columns import Columns
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added, Deleted
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod

TAKEN = "node(s) didn't have free ports for the requested pod ports"


class NodePorts(Plugin):
    """Keep pods off nodes where another pod has the host port they want."""

    order = 50
    reads = ("host_ports",)
    judges_one_by_one = True
    retry_when = (Added(Node), Deleted(Pod))

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        for port in pod.host_ports:
            yield Verdict(nodes.has_free_port(port), TAKEN, may_yield=True)
