"""The Pod kind itself, and the template from which controllers make pods."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from wherry.api.core.pod import defaults as defaults  # registers the rules
from wherry.api.core.pod.columns import COLUMNS, finished_conditions
from wherry.api.core.pod.container import Resources
from wherry.api.core.pod.label_keys import write_label_keys
from wherry.api.core.pod.qos import qos_class
from wherry.api.core.pod.selecting import SELECTABLE, SelectedPod
from wherry.api.core.pod.spec import PodSpec
from wherry.api.core.pod.status import PodStatus
from wherry.api.core.pod.validation import (
    check_ephemeral_containers_update,
    check_pod,
    check_pod_status,
    check_pod_update,
    check_resize,
)
from wherry.machinery.field_errors import FieldError, forbidden
from wherry.machinery.meta import ObjectMeta, controller_reference
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource
from wherry.machinery.view import Verbatim

SUBRESOURCES = (
    *("attach", "binding", "ephemeralcontainers", "eviction", "exec"),
    *("log", "portforward", "proxy", "resize", "status"),
)
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


class Pod(Resource, version="v1", short=("po",), categories=("all",), subresources=SUBRESOURCES):
    """Containers that share a network and a fate."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    columns = COLUMNS
    counts_generations = True
    kept_by_status_writes = ("ownerReferences",)
    delete_returns_object = True
    selectable = SELECTABLE
    selectable_view = SelectedPod

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """A new pod is Pending; its quality of service and whom its terms select are settled for good."""
        spec = draft.get("spec") or {}
        write_label_keys(draft)
        draft["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            draft["status"]["conditions"] = [dict(_GATED)]

    @classmethod
    def prepare_status_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """A kubelet that does not know what was settled for good, or seen of the pod last, takes nothing of it away."""
        status, before = draft.get("status") or {}, old.get("status") or {}
        for field in ("qosClass", "observedGeneration"):
            if not status.get(field) and before.get(field):
                draft["status"] = status = {**status, field: before[field]}

    def validate(self, old: Pod | None) -> Iterator[FieldError]:
        """Every broken rule of a pod; on update nearly nothing may change."""
        yield from check_pod(self)
        if old is not None:
            yield from check_pod_update(self, old)
            return
        if self.spec.ephemeral_containers:
            yield forbidden("spec.ephemeralContainers", "cannot be set on create")
        if self.spec.node_name and self.spec.scheduling_gates:
            yield forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")

    def validate_status(self, old: Pod) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        return check_pod_status(self, old)

    def validate_subresource(self, subresource: str, old: Pod) -> Iterator[FieldError]:
        """Every broken rule of a write through `/ephemeralcontainers` or `/resize`, each for what it may change."""
        rules = {"ephemeralcontainers": check_ephemeral_containers_update, "resize": check_resize}
        if subresource not in rules:
            yield from self.validate(old)
            return
        yield from check_pod(self)
        yield from rules[subresource](self, old)

    def row_conditions(self) -> list[dict[str, Any]]:
        """Finished pods say so."""
        return finished_conditions(self)

    @property
    def resizing(self) -> tuple[tuple[str, Resources | None, dict[str, Quantity]], ...]:
        """Of `status.held` what is not as the spec asks: there a resize is under way, or refused."""
        asked = {each.name: each.resources.requests for each in (*self.spec.init_containers, *self.spec.containers)}
        return tuple(
            (name, has, allocated)
            for name, has, allocated in self.status.held
            if (has is not None and has.requests != asked.get(name)) or (allocated and allocated != asked.get(name))
        )

    @property
    def is_finished(self) -> bool:
        """Every container is done for good."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def is_active(self) -> bool:
        """Neither finished nor being deleted: what counts as a replica."""
        return not self.is_finished and self.metadata.deleted_at is None

    @property
    def claim_names(self) -> tuple[str, ...]:
        """The claims that its volumes are on."""
        return tuple(self.claims.values())

    @property
    def claims(self) -> dict[str, str]:
        """The claim of each volume that is on one; an ephemeral volume has one that is named after the pod."""
        names = {}
        for volume in self.spec.volumes:
            kind, source = volume.source
            if kind == "persistentVolumeClaim":
                names[volume.name] = str(source.get("claimName", ""))
            elif kind == "ephemeral":
                names[volume.name] = f"{self.metadata.name}-{volume.name}"
        return names


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
    """A new pod, as JSON, made from a template: owned by `owner`, in its namespace, named after it or `name`."""
    metadata = {**(template.raw.get("metadata") or {}), "namespace": owner.metadata.namespace}
    metadata.pop("name", None)
    metadata |= {"name": name} if name else {"generateName": f"{owner.metadata.name}-"}
    metadata["ownerReferences"] = [controller_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.raw.get("spec") or {}}
