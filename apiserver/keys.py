"""Where an object stands in the store: `/registry/pods/shop/web-1`. Kubernetes: the apiserver's etcd layout."""

from __future__ import annotations

from wherry.machinery.resource import Kind

ROOT = "/registry/"

# Folders that are not named after the resource, for historical reasons that etcdctl users know.
_FOLDERS = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "leases.coordination.k8s.io": "leases",
    "events.events.k8s.io": "events",
    "ingresses.networking.k8s.io": "ingress",
    "apiservices.apiregistration.k8s.io": "apiregistration.k8s.io/apiservices",
    "customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/customresourcedefinitions",
}


def folder(kind: Kind) -> str:
    """The folder of a kind, with slashes around: `/registry/pods/`, or `/registry/example.com/widgets/`."""
    if kind.is_custom:
        return f"{ROOT}{kind.group}/{kind.plural}/"
    return f"{ROOT}{_FOLDERS.get(kind.resource, kind.plural)}/"


def key(kind: Kind, namespace: str, name: str) -> str:
    """The key of one object."""
    return f"{folder(kind)}{namespace}/{name}" if kind.namespaced else f"{folder(kind)}{name}"
