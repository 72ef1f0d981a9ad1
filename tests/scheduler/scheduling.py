"""What the scheduler's tests share: clusters as snapshots, pods as plugins see them, the plan with all plugins."""

from collections.abc import Iterable
from typing import Any

from make import a_container, a_node, a_pod

from scheduler.cycle.decision import Decision
from scheduler.cycle.plan import plan
from scheduler.framework import Plugin, load_plugins
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node


def a_view(name: str = "", **more: Any) -> PodView:
    return PodView(a_pod(name, **more))


def all_plugins() -> list[Plugin]:
    return [plugin() for plugin in load_plugins().values()]


def snapshot_of(*nodes: Node, placed: Iterable[tuple[PodView, str]] = ()) -> Snapshot:
    snapshot = Snapshot()
    for node in nodes:
        snapshot.set_node(node)
    for pod, node_name in placed:
        snapshot.place(pod, node_name)
    return snapshot


def decide(pod: PodView, *nodes: Node, placed: Iterable[tuple[PodView, str]] = ()) -> Decision:
    return plan(pod, snapshot_of(*nodes, placed=placed).columns, all_plugins())


def fitting(pod: PodView, *nodes: Node, placed: Iterable[tuple[PodView, str]] = ()) -> set[str]:
    decision = decide(pod, *nodes, placed=placed)
    return {name for name, fits in zip(decision.nodes, decision.feasible.tolist(), strict=True) if fits}


def tainted(name: str, *taints: str, **more: Any) -> Node:
    """Taints as kubectl writes them: `key=value:effect`."""
    parts = [taint.replace("=", ":").split(":") for taint in taints]
    return a_node(name, taints=[{"key": key, "value": value, "effect": effect} for key, value, effect in parts], **more)


def gpu_node(name: str, gpus: int) -> Node:
    return a_node(name, allocatable={"nvidia.com/gpu": str(gpus)})


__all__ = [
    "a_container",
    "a_node",
    "a_pod",
    "a_view",
    "all_plugins",
    "decide",
    "fitting",
    "gpu_node",
    "snapshot_of",
    "tainted",
]
