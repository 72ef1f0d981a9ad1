"""One APIService for every group and version that is served here. Kubernetes: the autoregistration controller.
Those of custom kinds: `extensions/registering.py`.

The priorities are Kubernetes' own: they decide in which order clients look through groups and versions.
"""

from __future__ import annotations

from typing import Any

from apiserver.discovery import built_in_versions

Json = dict[str, Any]

AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_GROUP_PRIORITIES = {
    "": 18_000,
    "apps": 17_800,
    "events.k8s.io": 17_750,
    "authentication.k8s.io": 17_700,
    "authorization.k8s.io": 17_600,
    "autoscaling": 17_500,
    "batch": 17_400,
    "certificates.k8s.io": 17_300,
    "networking.k8s.io": 17_200,
    "policy": 17_100,
    "rbac.authorization.k8s.io": 17_000,
    "storage.k8s.io": 16_800,
    "apiextensions.k8s.io": 16_700,
    "admissionregistration.k8s.io": 16_700,
    "scheduling.k8s.io": 16_600,
    "coordination.k8s.io": 16_500,
    "node.k8s.io": 16_300,
    "discovery.k8s.io": 16_200,
    "flowcontrol.apiserver.k8s.io": 16_100,
    "resource.k8s.io": 15_900,
    "metrics.k8s.io": 100,
}
_GROUP_PRIORITY = 1000
_VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
_VERSION_PRIORITY = 15
# Not registered by Kubernetes either: who registers others is not registered itself.
REGISTRY = "apiregistration.k8s.io"


def local_services() -> list[Json]:
    """The objects, in no order that matters."""
    return [
        _service(group, version)
        for group, versions in built_in_versions().items()
        for version in versions
        if group != REGISTRY
    ]


def _service(group: str, version: str) -> Json:
    spec = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": _GROUP_PRIORITIES.get(group, _GROUP_PRIORITY),
        "versionPriority": _VERSION_PRIORITIES.get((group, version), _VERSION_PRIORITY),
    }
    metadata = {"name": f"{version}.{group}", "labels": {AUTOMANAGED: "onstart"}}
    kind = {"kind": "APIService", "apiVersion": f"{REGISTRY}/v1"}
    return {**kind, "metadata": metadata, "spec": {key: value for key, value in spec.items() if value}}
