"""How many pods the scheduler's plan places in a second of a core, without any I/O: JSON on stdout.

    python bench/scheduler_plan.py [--pods 20000]

Each line is one size of cluster: identical pods (one shared answer), pods that all differ (an answer each), and
identical pods that look at each other: those of a workload, which say nothing of it themselves, spread over zones, near
to each other in a zone, and one per node at most.
"""

from __future__ import annotations

import json
import time
from itertools import count
from typing import Any

import click

from scheduler.cycle.answers import Answers
from scheduler.framework import Plugin, load_plugins
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.machinery.garbage import look_seldom
from wherry.machinery.selectors import from_label_selector

SIZES = (100, 1000, 5000)


def a_snapshot(size: int) -> Snapshot:
    """Nodes of 64 cpus, 256 GiB and 110 pods."""
    snapshot = Snapshot()
    allocatable = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110", "nvidia.com/gpu": "8"}
    for index in range(size):
        labels = {"kubernetes.io/hostname": f"node-{index}", "topology.kubernetes.io/zone": f"zone-{index % 3}"}
        node = {"metadata": {"name": f"node-{index}", "labels": labels}, "status": {"allocatable": allocatable}}
        snapshot.set_node(Node.read(node))
    return snapshot


WEB = {"matchLabels": {"app": "web"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
# What pods may say about other pods.
AROUND: dict[str, dict[str, Any]] = {
    "spread": {
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": WEB}
        ]
    },
    "affinity": {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": ZONE, "labelSelector": WEB}]}}},
    "anti_affinity": {"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": HOST, "labelSelector": WEB}]}}},
}


def a_pod(number: int, millicores: int, **spec: Any) -> PodView:
    """A pod of an application; `spec` adds to it."""
    resources = {"requests": {"cpu": f"{millicores}m", "memory": "256Mi"}}
    spec = {"containers": [{"name": "main", "image": "web", "resources": resources}], **spec}
    metadata = {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}", "labels": {"app": "web"}}
    return PodView(Pod.read({"metadata": metadata, "spec": spec}))


def decisions_per_second(size: int, pods: list[PodView], plugins: list[Plugin]) -> float:
    """Place all pods; the clock includes signatures, plans and the snapshot's bookkeeping."""
    snapshot = a_snapshot(size)
    answers = Answers(snapshot, plugins)
    start = time.process_time()
    for placed in count():
        if placed == len(pods):
            break
        choice = answers.to(pods[placed]).best()
        if choice is None:
            break
        snapshot.place(pods[placed], choice.node)
    return placed / (time.process_time() - start)


@click.command()
@click.option("--pods", default=20_000, show_default=True, help="How many identical pods to place.")
def main(pods: int) -> None:
    """Print decisions per second at 100, 1000 and 5000 nodes."""
    look_seldom()  # as `python -m scheduler` has it
    plugins = [plugin() for plugin in load_plugins().values()]
    for size in SIZES:
        same = decisions_per_second(size, [a_pod(number, 100) for number in range(min(pods, size * 100))], plugins)
        different = decisions_per_second(size, [a_pod(number, 100 + number) for number in range(500)], plugins)
        figures = {"nodes": size, "identical_pods_per_s": round(same), "different_pods_per_s": round(different)}
        kin = from_label_selector(WEB)
        workload = [a_pod(number, 100).replace(kin=kin) for number in range(min(pods, size * 100))]
        figures["workload_pods_per_s"] = round(decisions_per_second(size, workload, plugins))
        for name, spec in AROUND.items():
            looking = [a_pod(number, 100, **spec) for number in range(min(pods, size, 2000))]
            figures[f"{name}_pods_per_s"] = round(decisions_per_second(size, looking, plugins))
        click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
