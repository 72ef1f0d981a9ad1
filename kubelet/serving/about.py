"""What the kubelet says of itself and of what runs here: `/configz`, `/pods`, `/runningpods/`. Pure.

Kubernetes: the same paths. Differs: of a pod's spec, `/pods` shows the fields that Wherry knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelet.charge import Charge
from kubelet.host import Settings
from kubelet.resources.machine import EVICTION_HARD
from kubelet.runtime.base import ContainerRecord, Inventory, PodKey

Json = dict[str, Any]


def configuration(settings: Settings, port: int) -> Json:
    """A KubeletConfiguration: what the kubelet was started with, and what is fixed."""
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": settings.address,
        "port": port,
        "authentication": {"x509": {}, "webhook": {"enabled": True}, "anonymous": {"enabled": False}},
        "authorization": {"mode": "Webhook"},
        "clusterDomain": settings.cluster_domain,
        "clusterDNS": [settings.cluster_dns] if settings.cluster_dns else [],
        "maxPods": settings.max_pods,
        "nodeLeaseDurationSeconds": settings.lease_seconds,
        "evictionHard": EVICTION_HARD,
    }


def pods(charges: Iterable[Charge]) -> Json:
    """The pods that are assigned to this node, with the status that the kubelet would have them show."""
    return _listed(
        {"metadata": metadata.to_wire(), "spec": charge.pod.spec.to_wire(), "status": charge.status.offered}
        for charge in charges
        for metadata in (charge.pod.metadata,)
    )


def running_pods(inventory: Inventory) -> Json:
    """The pods of which the engine has running containers, with those and no others."""
    running: dict[PodKey, list[ContainerRecord]] = {}
    for record in inventory.containers:
        if record.is_running:
            running.setdefault(record.pod, []).append(record)
    return _listed(
        {
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "spec": {"containers": [{"name": record.name, "image": record.image} for record in records]},
            "status": {},
        }
        for pod, records in running.items()
    )


def _listed(items: Iterable[Json]) -> Json:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(items)}
