"""The Pod kind itself, and the template from which controllers make pods."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from wherry.api.core.pod.spec import PodSpec
from wherry.api.core.pod.status import PodStatus
from wherry.machinery.meta import ObjectMeta, controller_reference
from wherry.machinery.resource import Resource
from wherry.machinery.view import Verbatim

SUBRESOURCES = ("attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize", "status")


class Pod(
    Resource, version="v1", short=("po",), categories=("all",), subresources=SUBRESOURCES
):
    """Containers that share a network and a fate."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    counts_generations = True
    delete_returns_object = True
    selectable = {
        "spec.nodeName": lambda pod: pod.spec.node_name,
        "spec.restartPolicy": lambda pod: pod.spec.restart_policy,
        "spec.schedulerName": lambda pod: pod.spec.scheduler_name,
        "spec.serviceAccountName": lambda pod: pod.spec.service_account_name,
        "spec.hostNetwork": lambda pod: str(pod.spec.host_network).lower(),
        "status.phase": lambda pod: pod.status.phase,
        "status.podIP": lambda pod: pod.status.pod_ip,
        "status.nominatedNodeName": lambda pod: pod.status.nominated_node_name,
    }

    @property
    def is_finished(self) -> bool:
        """Every container is done for good."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def is_active(self) -> bool:
        """Neither finished nor being deleted: what counts as a replica."""
        return not self.is_finished and self.metadata.deleted_at is None


class PodTemplate(Verbatim):
    """The pod a controller would make, kept whole."""

    __slots__ = ("__dict__",)  # for the cached properties

    @cached_property
    def metadata(self) -> ObjectMeta:
        """Labels and annotations of the pods to come."""
        return ObjectMeta.read(self.raw.get("metadata") or {})

    @cached_property
    def spec(self) -> PodSpec:
        """A reading of the pods to come."""
        return PodSpec.read(self.raw.get("spec") or {})


def pod_from(template: PodTemplate, owner: Resource, *, name: str = "") -> dict[str, Any]:
    """A new pod, as JSON, made from a template: owned by `owner`, in its namespace, named after it unless `name` is given."""
    metadata = {**(template.raw.get("metadata") or {}), "namespace": owner.metadata.namespace}
    metadata.pop("name", None)
    metadata |= {"name": name} if name else {"generateName": f"{owner.metadata.name}-"}
    metadata["ownerReferences"] = [controller_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.raw.get("spec") or {}}
