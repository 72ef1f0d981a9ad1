"""The slow and obvious preemption: node by node, pod by pod, in plain Python, on lists."""

from collections.abc import Sequence

from oracle import fits
from oracle_around import Cluster, fits_around

from scheduler.pods import PodView
from wherry.api.core.node import Node
from wherry.api.policy.disruption_budget import PodDisruptionBudget


def fits_there(pod: PodView, node: Node, cluster: Cluster) -> bool:
    held = next(pods for other, pods in cluster if other is node)
    return fits(pod, node, held) and fits_around(pod, node, cluster, {})


def without(cluster: Cluster, gone: Sequence[PodView]) -> Cluster:
    return [(node, [pod for pod in pods if pod not in gone]) for node, pods in cluster]


def importance(pod: PodView):
    return (-pod.spec.priority, pod.pod.status.start_time, pod.key)


def breaking(pods: Sequence[PodView], budgets: Sequence[PodDisruptionBudget]) -> list[PodView]:
    left = {budget.key: budget.status.disruptions_allowed for budget in budgets}
    broken = []
    for pod in pods:
        covering = [budget.key for budget in budgets if budget.spec.selector.matches(pod.metadata.labels)]
        for key in covering:
            left[key] -= 1
        if any(left[key] < 0 for key in covering):
            broken.append(pod)
    return broken


def victims_on(node: Node, pod: PodView, cluster: Cluster, budgets: Sequence[PodDisruptionBudget]):
    """The victims and how many of them break a budget; None if it helps nothing."""
    held = next(pods for other, pods in cluster if other is node)
    lower = sorted((other for other in held if other.spec.priority < pod.spec.priority), key=importance)
    if not lower or not fits_there(pod, node, without(cluster, lower)):
        return None
    broken = breaking(lower, budgets)
    gone = list(lower)
    for each in (*broken, *(other for other in lower if other not in broken)):
        if fits_there(pod, node, without(cluster, [other for other in gone if other is not each])):
            gone.remove(each)
    return gone, sum(each in broken for each in gone)


def price(victims: Sequence[PodView], broken: int):
    priorities = [each.spec.priority for each in victims]
    first = min(each.pod.status.start_time for each in victims if each.spec.priority == max(priorities))
    return broken, max(priorities), sum(each + 2**31 for each in priorities), len(victims), -first.timestamp()


def preempted(pod: PodView, cluster: Cluster, budgets: Sequence[PodDisruptionBudget]):
    """The node and its victims by Kubernetes' order of what counts; None if there is no such node."""
    found = ((node, victims_on(node, pod, cluster, budgets)) for node, _ in cluster)
    candidates = [(price(*victims), node.metadata.name, victims[0]) for node, victims in found if victims]
    return min(candidates, key=lambda each: each[0], default=None)
