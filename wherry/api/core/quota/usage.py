"""What an object counts for in a quota, by the names that a quota's `hard` may use.

    usage_of(pod, now) == {"pods": 1, "count/pods": 1, "requests.cpu": 500m, "cpu": 500m, …}

Kubernetes: the evaluators of pkg/quota/v1/evaluator/core and its generic object counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.totals import pod_limits, pod_requests
from wherry.api.core.resource_rules import is_extended, is_huge_page
from wherry.api.core.service import Service
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Kind, Resource

Usage = dict[str, Quantity]

ONE = Quantity.from_value(1)
OF_CLASS = "storageclass.storage.k8s.io"
# Counted under their own name as well, as before `count/` there was.
_PLAIN = ("configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services")
_SHARED = ("cpu", "memory", "ephemeral-storage")
_DEMANDED = {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}


def is_counted(kind: Kind) -> bool:
    """Whether objects of a kind count at all; events come and go by themselves."""
    return kind.namespaced and kind.plural != "events"


def usage_of(obj: Resource, now: datetime) -> Usage:
    """What an object counts for; `now` tells whether a pod is overdue to be gone."""
    usage = {f"count/{obj.kind.resource}": ONE}
    if obj.kind.resource in _PLAIN:
        usage[obj.kind.resource] = ONE
    match obj:
        case Pod() if is_alive(obj, now):
            usage |= {"pods": ONE, **compute_usage(pod_requests(obj.spec), pod_limits(obj.spec))}
        case Service():
            usage |= _of_service(obj)
        case PersistentVolumeClaim():
            usage |= _of_claim(obj)
    return usage


def is_alive(pod: Pod, now: datetime) -> bool:
    """Whether a pod takes anything: neither finished, nor long past the end of its grace period."""
    if pod.is_finished:
        return False
    meta = pod.metadata
    if meta.deleted_at is None or meta.deletion_grace_seconds is None:
        return True
    return now <= meta.deleted_at + timedelta(seconds=meta.deletion_grace_seconds)


def compute_usage(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Usage:
    """Requests and limits under the names of a quota; devices of others count by what is requested."""
    usage: Usage = {}
    for name, amount in requests.items():
        if name in _SHARED or is_huge_page(name):
            usage[name] = usage[f"requests.{name}"] = amount
        elif is_extended(name):
            usage[f"requests.{name}"] = amount
    return usage | {f"limits.{name}": amount for name, amount in limits.items() if name in _SHARED}


def missing_from(pod: Pod, hard: Mapping[str, Quantity]) -> dict[str, list[str]]:
    """The resources under quota that containers do not speak of, with the containers' names.

    Cpu and memory must be told by every container once a quota limits them; other resources need not.
    """
    demanded = _DEMANDED.intersection(hard)
    said = _said_by_pod(pod)
    missing: dict[str, list[str]] = {}
    for container in (*pod.spec.containers, *pod.spec.init_containers) if demanded else ():
        told = compute_usage(container.resources.requests, container.resources.limits).keys() | said
        for name in sorted(demanded - told):
            missing.setdefault(name, []).append(container.name)
    return missing


def _said_by_pod(pod: Pod) -> set[str]:
    whole = pod.spec.resources
    return set(compute_usage(whole.requests, whole.limits)) if whole is not None else set()


def _of_service(service: Service) -> Usage:
    ports, spec = service.spec.ports, service.spec
    if spec.type == "NodePort":
        return {"services.nodeports": Quantity.from_value(len(ports))}
    if spec.type != "LoadBalancer":
        return {}
    if spec.allocate_load_balancer_node_ports is False:
        ports = tuple(port for port in ports if port.node_port)
    return {"services.loadbalancers": ONE, "services.nodeports": Quantity.from_value(len(ports))}


def _of_claim(claim: PersistentVolumeClaim) -> Usage:
    return dict(_claim_entries(claim))


def _claim_entries(claim: PersistentVolumeClaim) -> Iterator[tuple[str, Quantity]]:
    storage = claim.spec.resources.requests.get("storage")
    names = [f"{claim.spec.storage_class_name}.{OF_CLASS}/"] if claim.spec.storage_class_name else []
    for name in names:
        yield f"{name}persistentvolumeclaims", ONE
    if storage is not None:
        yield from ((f"{name}requests.storage", storage) for name in ("", *names))
