"""The slow and obvious scheduler that the fast one is held against: one pod, one node, plain Python."""

from collections.abc import Iterable

from scheduler.pods import PodView
from wherry.api.core.node import Node
from wherry.api.core.pod.spec import NodeSelectorRequirement


def fits(pod: PodView, node: Node, others: Iterable[PodView]) -> bool:
    """Whether a node that already has `others` can take one more."""
    checks = (_is_open, _taints_are_tolerated, _labels_match, _ports_are_free, _resources_are_free)
    return all(check(pod, node, list(others)) for check in checks)


def _tolerates(pod: PodView, key: str, value: str, effect: str) -> bool:
    for toleration in pod.spec.tolerations:
        same_key = not toleration.key or toleration.key == key
        same_value = toleration.operator == "Exists" or toleration.value == value
        same_effect = not toleration.effect or toleration.effect == effect
        if same_key and same_value and same_effect:
            return True
    return False


def _is_open(pod: PodView, node: Node, others: list[PodView]) -> bool:
    return not node.spec.unschedulable or _tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule")


def _taints_are_tolerated(pod: PodView, node: Node, others: list[PodView]) -> bool:
    hard = [taint for taint in node.spec.taints if taint.effect in ("NoSchedule", "NoExecute")]
    return all(_tolerates(pod, taint.key, taint.value, taint.effect) for taint in hard)


def _labels_match(pod: PodView, node: Node, others: list[PodView]) -> bool:
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    if required is None:
        return True
    return any(
        bool(term.match_expressions) and all(_holds(wanted, labels) for wanted in term.match_expressions)
        for term in required.node_selector_terms
    )


def _holds(wanted: NodeSelectorRequirement, labels: dict[str, str]) -> bool:
    value = labels.get(wanted.key)
    if wanted.operator in ("Gt", "Lt"):
        if value is None or not value.isdigit():
            return False
        bound = int(wanted.values[0])
        return int(value) > bound if wanted.operator == "Gt" else int(value) < bound
    return {
        "In": value is not None and value in wanted.values,
        "NotIn": value is None or value not in wanted.values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[wanted.operator]


def _ports_are_free(pod: PodView, node: Node, others: list[PodView]) -> bool:
    taken = {(port.protocol, port.host_port) for other in others for port in _ports(other)}
    return not any((port.protocol, port.host_port) in taken for port in _ports(pod))


def _ports(pod: PodView):
    return [port for container in pod.spec.containers for port in container.ports if port.host_port]


def _resources_are_free(pod: PodView, node: Node, others: list[PodView]) -> bool:
    if len(others) + 1 > node.status.allocatable["pods"].value:
        return False
    for resource in ("cpu", "memory", "nvidia.com/gpu"):
        wanted, used = _request(pod, resource), sum(_request(other, resource) for other in others)
        offered = node.status.allocatable.get(resource)
        if wanted and wanted + used > (offered.nanos if offered else 0):
            return False
    return True


def _request(pod: PodView, resource: str) -> int:
    found = (container.resources.requests.get(resource) for container in pod.spec.containers)
    return sum(quantity.nanos for quantity in found if quantity)


def is_overcommitted(node: Node, pods: Iterable[PodView]) -> bool:
    """Whether the pods of a node ask for more than it offers."""
    pods = list(pods)
    return (
        any(
            sum(_request(pod, resource) for pod in pods)
            > (node.status.allocatable[resource].nanos if resource in node.status.allocatable else 0)
            for resource in ("cpu", "memory", "nvidia.com/gpu")
        )
        or len(pods) > node.status.allocatable["pods"].value
    )
