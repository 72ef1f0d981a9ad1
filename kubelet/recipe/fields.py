"""What a pod may know about itself: the fields and resources that `fieldRef` and `resourceFieldRef` name. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from wherry.api.core.pod import Container, Pod
from wherry.machinery.quantity import Quantity

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class UnknownField(ValueError):
    """The path names nothing that a pod may know about itself."""


def pod_field(pod: Pod, path: str, *, host_ip: str, pod_ip: str) -> str:
    """The text of a field; `metadata.labels` and `metadata.annotations` are one quoted line per entry."""
    metadata = pod.metadata
    if found := _SUBSCRIPT.fullmatch(path):
        mapping: Mapping[str, str] = getattr(metadata, found[1])
        return mapping.get(found[2], "")
    if path in ("metadata.labels", "metadata.annotations"):
        mapping = getattr(metadata, path.partition(".")[2])
        return "\n".join(f"{key}={json.dumps(mapping[key], ensure_ascii=False)}" for key in sorted(mapping))
    fields = {
        "metadata.name": metadata.name,
        "metadata.namespace": metadata.namespace,
        "metadata.uid": metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
    }
    if path not in fields:
        raise UnknownField(f"unsupported fieldPath: {path}")
    return fields[path]


def container_resource(container: Container, resource: str, divisor: str, allocatable: Mapping[str, Quantity]) -> str:
    """A request or limit in units of `divisor`, rounded up; a limit that is not set is what the node has."""
    which, _, name = resource.partition(".")
    if which not in ("limits", "requests") or not name:
        raise UnknownField(f"unsupported container resource: {resource}")
    limits, requests = container.resources.limits, container.resources.requests
    amount = limits.get(name, allocatable.get(name)) if which == "limits" else requests.get(name, limits.get(name))
    unit = Quantity.parse(divisor or "0") or Quantity.parse("1")
    return str(-(-(amount.nanos if amount else 0) // unit.nanos))
