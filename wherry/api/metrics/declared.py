"""What pods on hollow nodes use: nobody measures it, so their annotations say it, and say it anew when they change.

    kubectl annotate pod web-1 sim.wherry.dev/cpu=300m --overwrite

Without annotations a pod uses half of what it requests. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from wherry.api.core.node import Node
from wherry.api.core.pod import Container, Pod
from wherry.machinery.quantity import Quantity

CPU, MEMORY = "sim.wherry.dev/cpu", "sim.wherry.dev/memory"
"""The annotations of a pod by which each of its containers uses so much."""

_HOLLOW = "hollow://"
_LEAST_CPU, _LEAST_MEMORY = Quantity.from_millis(1), Quantity.parse("8Mi")


def is_hollow(node: Node) -> bool:
    """Whether the node has no machine, and so nothing to measure."""
    return node.status.node_info.container_runtime_version.startswith(_HOLLOW)


def declared_usage(pod: Pod) -> dict[str, tuple[int, int]]:
    """Billionths of a cpu and bytes that each running container is said to use."""
    running = {status.name for status in pod.status.container_statuses if status.state.running}
    said = pod.metadata.annotations
    return {
        container.name: (
            (_said(said, CPU) or _half(container, "cpu", _LEAST_CPU)).nanos,
            (_said(said, MEMORY) or _half(container, "memory", _LEAST_MEMORY)).value,
        )
        for container in pod.spec.containers
        if container.name in running
    }


def _said(annotations: Mapping[str, str], name: str) -> Quantity | None:
    try:
        return Quantity.parse(annotations[name])
    except (KeyError, ValueError):
        return None  # a sentence that makes no sense is none


def _half(container: Container, resource: str, least: Quantity) -> Quantity:
    requested = container.resources.requests.get(resource)
    return Quantity(requested.nanos // 2, requested.format) if requested else least
