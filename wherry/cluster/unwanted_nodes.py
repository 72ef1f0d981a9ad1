"""Nodes that this machine was once, and is no more: `up` with fewer nodes, or with several, that have other names.

No kubelet will ever speak for them again, and nothing of them runs once their containers are removed, so node and pods
go at once, without the wait that Kubernetes has for nodes that may come back. What volumes of theirs hold stays in
DATA/nodes/NAME: it is there again when a node of that name is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from wherry.cluster.layout import Layout
from wherry.cluster.machine.docker_engine import connect, remove_containers
from wherry.cluster.machine.network import CLUSTER
from wherry.cluster.probe import Probe
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import Settings

_NODE = "io.wherry.node"
_FAKE = re.compile(r"fake-(\d+)")
_HOLLOW = "hollow node"


def remove_unwanted_nodes(layout: Layout, settings: Settings, probe: Probe, say: Callable[[str], None]) -> None:
    """Delete the nodes that an earlier `up` made and this one does not want, and the pods on them."""
    listed = probe.json("/api/v1/nodes") or {"items": []}
    ours = {path.name for path in layout.nodes.iterdir()} - {node.name for node in settings.nodes}
    names = [node["metadata"]["name"] for node in listed["items"]]
    kubelets = [name for name in names if name in ours]
    fakes = [node["metadata"]["name"] for node in listed["items"] if _is_fake_beyond(settings.fake_nodes, node)]
    if kubelets:
        _end_containers(layout, kubelets)
    for name in (*kubelets, *fakes):
        probe.delete(f"/api/v1/nodes/{name}")
    if gone := {*kubelets, *fakes}:
        for path in _pods_on(gone, probe):
            probe.delete(f"{path}?gracePeriodSeconds=0")
        say(f"deleted nodes that are no more, with their pods: {', '.join(sorted(gone))}")


def _is_fake_beyond(count: int, node: dict[str, Any]) -> bool:
    number = _FAKE.fullmatch(node["metadata"]["name"])
    system = node.get("status", {}).get("nodeInfo", {}).get("osImage", "")
    return number is not None and int(number[1]) > count and _HOLLOW in system


def _end_containers(layout: Layout, nodes: list[str]) -> None:
    """After a crash they still run; raises ClusterProblem where Docker keeps one."""
    try:
        client = connect()
    except ClusterProblem:
        return  # then none of them runs
    for name in nodes:
        remove_containers(client, f"{CLUSTER}={layout.name}", f"{_NODE}={name}")


def _pods_on(nodes: set[str], probe: Probe) -> Iterator[str]:
    listed = probe.json("/api/v1/pods") or {"items": []}
    for pod in listed["items"]:
        if pod["spec"].get("nodeName") in nodes:
            yield f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
