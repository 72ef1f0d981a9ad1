"""Claims, volumes and storage classes, as the tests of their controllers need them."""

from typing import Any

from make import an_object

from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass


def a_volume(name, size="10Gi", *, modes=("ReadWriteOnce",), claim=None, **more: Any) -> PersistentVolume:
    """A volume that is free, or set aside for a claim by name."""
    more.setdefault("host_path", {"path": f"/data/{name}"})
    reference = {"claimRef": {"namespace": "default", "name": claim}} if claim else {}
    return an_object(PersistentVolume, name, capacity={"storage": size}, access_modes=list(modes), **reference, **more)


def a_claim(size="5Gi", *, modes=("ReadWriteOnce",), name="data", **more: Any) -> PersistentVolumeClaim:
    """A claim called data."""
    resources = {"requests": {"storage": size}}
    return an_object(PersistentVolumeClaim, name, resources=resources, access_modes=list(modes), **more)


def a_class(name: str, *, provisioner="wherry.dev/local-path", annotations=None, **fields: Any) -> StorageClass:
    """A class that binds at once unless told otherwise."""
    marks = {"annotations": annotations} if annotations else {}
    fields = {"provisioner": provisioner, **fields}
    return an_object(StorageClass, name, api_version="storage.k8s.io/v1", fields=fields, **marks)


def a_waiting_class(name: str, provisioner: str) -> StorageClass:
    """A class whose claims wait for their first consumer."""
    return a_class(name, provisioner=provisioner, volumeBindingMode="WaitForFirstConsumer")


def on_node(name: str) -> dict[str, Any]:
    """Fields of a local volume that one node can reach."""
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}
    return {"node_affinity": {"required": {"nodeSelectorTerms": [term]}}, "host_path": None, "local": {"path": "/d"}}
