"""Which objects a quota concerns: all of its namespace, or the pods and claims that its scopes tell apart.

Kubernetes: the Matches functions of pkg/quota/v1/evaluator/core.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.qos import qos_class
from wherry.api.core.pod.spec import PodAffinity, PodAffinityTerm
from wherry.api.core.quota import resource_quota as scope
from wherry.api.core.quota.resource_quota import ResourceQuota, ScopeRequirement
from wherry.machinery.resource import Resource


def concerns(quota: ResourceQuota, obj: Resource) -> bool:
    """Whether an object of the quota's namespace counts towards it."""
    return all(_fulfils(obj, one) for one in quota.spec.requirements)


def _fulfils(obj: Resource, one: ScopeRequirement) -> bool:
    if isinstance(obj, Pod):
        return _pod_fulfils(obj, one)
    if isinstance(obj, PersistentVolumeClaim) and one.scope_name == scope.VOLUME_ATTRIBUTES_CLASS:
        return _names_fulfil([obj.spec.volume_attributes_class_name or ""], one)
    return False


def _pod_fulfils(pod: Pod, one: ScopeRequirement) -> bool:
    match one.scope_name:
        case scope.TERMINATING:
            return pod.spec.active_deadline_seconds is not None
        case scope.NOT_TERMINATING:
            return pod.spec.active_deadline_seconds is None
        case scope.BEST_EFFORT:
            return is_best_effort(pod)
        case scope.NOT_BEST_EFFORT:
            return not is_best_effort(pod)
        case scope.PRIORITY_CLASS:
            return _names_fulfil([pod.spec.priority_class_name], one)
        case scope.CROSS_NAMESPACE:
            return any(term.namespaces or term.namespace_selector is not None for term in _terms(pod))
        case _:
            return False


def is_best_effort(pod: Pod) -> bool:
    """Whether the pod asks for no cpu and no memory."""
    return (pod.status.qos_class or qos_class(pod.spec.to_wire())) == "BestEffort"


def _names_fulfil(given: list[str], one: ScopeRequirement) -> bool:
    present = [name for name in given if name]
    match one.operator:
        case "In":
            return any(name in one.values for name in present)
        case "NotIn":
            return not any(name in one.values for name in present)
        case "Exists":
            return bool(present)
        case _:
            return not present


def _terms(pod: Pod) -> Iterator[PodAffinityTerm]:
    for affinity in (pod.spec.affinity.pod_affinity, pod.spec.affinity.pod_anti_affinity):
        yield from _terms_of(affinity) if affinity is not None else ()


def _terms_of(affinity: PodAffinity) -> Iterator[PodAffinityTerm]:
    preferred = affinity.preferred_during_scheduling_ignored_during_execution
    required = affinity.required_during_scheduling_ignored_during_execution
    return chain(required, (each.pod_affinity_term for each in preferred))
