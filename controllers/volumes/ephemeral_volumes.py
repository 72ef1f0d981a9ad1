"""Make the claims of ephemeral volumes: one for each such volume of a pod, called `POD-VOLUME`, and the pod's own.

The garbage collector takes them when the pod goes. Kubernetes: the ephemeral volume controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Create, Event, Manifest, Plan
from wherry.client.world import World
from wherry.machinery.meta import controller_reference

_AGAIN_SECONDS = 60.0


def has_own_claims(pod: Pod) -> bool:
    """Whether a pod has volumes that come with a claim of their own."""
    return any(volume.source[0] == "ephemeral" for volume in pod.spec.volumes)


def pod_of(claim: PersistentVolumeClaim, _: World) -> Iterator[str]:
    """The pod that a claim was made for."""
    owner = claim.metadata.controller
    if owner is not None and owner.kind == Pod.kind.name:
        yield f"{claim.metadata.namespace}/{owner.name}"


@controller(Pod, wakes={PersistentVolumeClaim: pod_of}, concerns=has_own_claims, component="ephemeral_volume")
def plan(pod: Pod, world: World) -> Plan:
    """Create the claims that are missing; a claim of that name that is somebody else's is not touched."""
    if pod.metadata.deleted_at is not None or pod.is_finished:
        return
    for volume in pod.spec.volumes:
        kind, source = volume.source
        if kind != "ephemeral":
            continue
        name = f"{pod.metadata.name}-{volume.name}"
        claim = world.get(PersistentVolumeClaim, name, pod.metadata.namespace)
        owner = claim.metadata.controller if claim is not None else None
        if claim is None:
            yield Create(_claim(pod, name, source))
        elif owner is None or owner.uid != pod.metadata.uid:
            yield Event(
                pod, "FailedBinding", f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)", "Warning"
            )
            yield CheckAgain(_AGAIN_SECONDS)


def _claim(pod: Pod, name: str, source: Mapping[str, Any]) -> Manifest:
    template = source.get("volumeClaimTemplate") or {}
    given = template.get("metadata") or {}
    metadata = {key: given[key] for key in ("labels", "annotations") if key in given}
    metadata |= {"name": name, "namespace": pod.metadata.namespace, "ownerReferences": [controller_reference(pod)]}
    kind = PersistentVolumeClaim.kind
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": template.get("spec") or {}}
