"""Builders of objects for tests: say what matters, the rest is made up.

    rs = a_replicaset(replicas=3)
    world = World(rs, a_pod(owner=rs), a_pod(owner=rs, ready=True, node="node-1"))

Every builder takes a name first (one is counted up if it is left out) and these keywords: `namespace`, `labels`,
`annotations`, `uid`, `generation`, `resource_version`, `finalizers`, `created`, `deleted` (True or a datetime),
`owner` (the controller), and `status` and `spec` (dicts). Any other keyword is a field of the spec. Fields are
snake_case or camelCase; views and datetimes may stand for JSON. Objects are valid as far as Wherry reads them: a
pod has a container, a workload a selector that fits its template.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import wherry.api.kinds  # noqa: F401  # registers every kind
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.client.world import TEST_NOW
from wherry.machinery.meta import controller_reference
from wherry.machinery.resource import Resource, kind_named
from wherry.machinery.time import time_text
from wherry.machinery.view import Verbatim, View, wire_name

NOW = TEST_NOW

_METADATA = ("annotations", "finalizers", "generation", "labels", "namespace", "resource_version", "uid")
_counters: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))


def to_json(value: Any) -> Any:
    """JSON out of what tests like to write: snake_case keys of fields, views, datetimes, tuples."""
    if isinstance(value, View):
        return value.to_wire()
    if isinstance(value, Verbatim):
        return value.raw
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return {_field_name(key): to_json(part) for key, part in value.items()}
    return [to_json(part) for part in value] if isinstance(value, list | tuple) else value


def _field_name(key: str) -> str:
    # Keys of maps, such as `app.kubernetes.io/name`, are no field names and stay as they are.
    return wire_name(key) if key.isidentifier() and key.islower() and "_" in key else key


def an_object(kind: str | type[Resource], name: str = "", *, api_version: str = "v1", **more: Any) -> Any:
    """An object of any kind: `an_object("Job", api_version="batch/v1")`; `fields` stand beside the spec."""
    found = kind_named(api_version, kind) if isinstance(kind, str) else kind
    if found is None:
        raise LookupError(f"{kind} of {api_version} is no registered kind")
    manifest = {"metadata": _metadata(found, name, more), "status": to_json(more.pop("status", None) or {})}
    manifest |= to_json(more.pop("fields", None) or {})
    spec = to_json({**more.pop("spec", {}), **more})
    return found.read({**manifest, **({"spec": spec} if spec else {})})


def _metadata(kind: type[Resource], name: str, more: dict[str, Any]) -> dict[str, Any]:
    """The metadata that the keywords ask for; takes them out of `more`."""
    owner, deleted = more.pop("owner", None), more.pop("deleted", None)
    name = name or f"{kind.kind.name.lower()}-{next(_counters[kind.kind.name])}"
    namespace = (owner and owner.metadata.namespace) or "default"
    metadata = {"name": name, "resourceVersion": "1", "generation": 1, "namespace": namespace}
    metadata |= {wire_name(key): to_json(more.pop(key)) for key in _METADATA if key in more}
    metadata["creationTimestamp"] = to_json(more.pop("created", NOW))
    if not kind.kind.namespaced:
        del metadata["namespace"]
    metadata.setdefault("uid", "-".join((kind.kind.name.lower(), metadata.get("namespace", ""), name)))
    if owner is not None:
        metadata["ownerReferences"] = [controller_reference(owner)]
    if deleted:
        metadata["deletionTimestamp"] = to_json(NOW if deleted is True else deleted)
    return metadata


def a_condition(type: str, status: bool | str = True, *, since: datetime = NOW, **more: str) -> dict[str, Any]:
    """A condition, as JSON."""
    text = status if isinstance(status, str) else str(status)
    return {"type": type, "status": text, "lastTransitionTime": time_text(since), **more}


def a_container(name: str = "app", *, image: str = "app:1", requests: Any = None, **more: Any) -> dict[str, Any]:
    """A container, as JSON."""
    resources = {"resources": {"requests": requests}} if requests else {}
    return {"name": name, "image": image, **resources, **to_json(more)}


def a_pod(
    name: str = "", *, owner: Any = None, node: str = "", ready: bool | None = None, requests: Any = None, **more: Any
) -> Pod:
    """A pod, like its owner's template if it has an owner; `phase`, `ready_since` and `conditions` shape its status."""
    template = getattr(owner.spec, "template", None) if owner is not None and hasattr(owner, "spec") else None
    raw = template.raw if template is not None else {}
    labels = more.pop("labels", None)
    labels = dict((raw.get("metadata") or {}).get("labels") or {}) if labels is None else labels
    spec = {**(raw.get("spec") or {}), **more.pop("spec", {})}
    spec.setdefault("containers", [a_container(image=more.pop("image", "app:1"), requests=requests)])
    if node:
        spec["nodeName"] = node
    status = {"phase": more.pop("phase", "Running" if ready else "Pending"), **more.pop("status", {})}
    conditions = list(more.pop("conditions", ()))
    if ready is not None:
        conditions.append(a_condition("Ready", ready, since=more.pop("ready_since", NOW)))
    status.setdefault("conditions", conditions)
    pod: Pod = an_object(Pod, name, owner=owner, labels=labels, status=status, **{**spec, **more})
    return pod


def a_template(labels: Mapping[str, str], *, image: str = "app:1", requests: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod template, as JSON."""
    containers = [a_container(image=image, requests=requests)]
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": containers, **to_json(spec)}}


def a_workload(kind: str | type[Resource], name: str = "", *, api_version: str = "apps/v1", **more: Any) -> Any:
    """A workload of any kind; `labels` (default `app: web`) are its own, its selector's and its template's."""
    owner = more.get("owner")
    labels = more.pop("labels", None) or {"app": "web"}
    if owner is not None and hasattr(owner.spec, "template"):
        more.setdefault("template", owner.spec.template)
        labels = dict(owner.spec.template.metadata.labels)
    image, requests = more.pop("image", "app:1"), more.pop("requests", None)
    more.setdefault("template", a_template(labels, image=image, requests=requests))
    more.setdefault("selector", {"matchLabels": labels})
    return an_object(kind, name, api_version=api_version, labels=labels, **more)


def a_replicaset(name: str = "", *, replicas: int = 1, owner: Any = None, **more: Any) -> ReplicaSet:
    """A ReplicaSet, with its owner's template if a Deployment owns it."""
    rs: ReplicaSet = a_workload(ReplicaSet, name, replicas=replicas, owner=owner, **more)
    return rs


def a_deployment(name: str = "", *, replicas: int = 1, **more: Any) -> Deployment:
    """A Deployment."""
    deployment: Deployment = a_workload(Deployment, name, replicas=replicas, **more)
    return deployment


def a_statefulset(name: str = "", *, replicas: int = 1, **more: Any) -> StatefulSet:
    """A StatefulSet; `claims` are the names of claims that each pod gets."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": claim}, "spec": spec} for claim in more.pop("claims", ())]
    sts: StatefulSet = a_workload(StatefulSet, name, replicas=replicas, volume_claim_templates=claims, **more)
    return sts


def a_daemonset(name: str = "", **more: Any) -> DaemonSet:
    """A DaemonSet."""
    ds: DaemonSet = a_workload(DaemonSet, name, **more)
    return ds


def a_node(name: str = "", *, ready: bool | str = True, cpu: str = "4", memory: str = "8Gi", **more: Any) -> Node:
    """A node; `allocatable` adds to or replaces what cpu and memory say, `conditions` stand beside Ready."""
    name = name or f"node-{next(_counters['Node'])}"
    allocatable = {"cpu": cpu, "memory": memory, "pods": "110", **more.pop("allocatable", {})}
    conditions = [a_condition("Ready", ready, since=more.pop("ready_since", NOW)), *more.pop("conditions", ())]
    status = {"capacity": allocatable, "allocatable": allocatable, "conditions": conditions, **more.pop("status", {})}
    labels = {"kubernetes.io/hostname": name, **(more.pop("labels", None) or {})}
    node: Node = an_object(Node, name, labels=labels, status=status, **more)
    return node


def a_service(name: str = "", *, ports: Any = ((80, 8080),), **more: Any) -> Service:
    """A Service for `selector` (default `app: web`); ports are pairs of port and target port, or JSON."""
    pairs = [{"port": port[0], "targetPort": port[1]} if isinstance(port, tuple) else port for port in ports]
    more = {"selector": {"app": "web"}, "cluster_ip": "10.96.0.10", **more}
    service: Service = an_object(Service, name, ports=pairs, **more)
    return service


def a_namespace(name: str = "", *, phase: str = "", **more: Any) -> Namespace:
    """A namespace; one that is deleted is Terminating."""
    phase = phase or ("Terminating" if more.get("deleted") else "Active")
    spec = {"finalizers": ["kubernetes"], **more.pop("spec", {})}
    namespace: Namespace = an_object(Namespace, name, status={"phase": phase}, spec=spec, **more)
    return namespace
