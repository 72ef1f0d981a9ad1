"""The storage of a StatefulSet's pods: a claim per template and pod, which outlives the pod unless told otherwise.

Whether claims go with their pod or with the whole is said by owner references alone; the garbage collector does it.
Kubernetes: StatefulPodControl and KEP-1847.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wherry.api.apps.statefulset import ClaimTemplate, StatefulSet
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.client.plan import Manifest, Plan, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference


def claim_name(sts: StatefulSet, template: ClaimTemplate, ordinal: int) -> str:
    """What a pod's own copy of the claim is called."""
    return f"{template.name}-{sts.metadata.name}-{ordinal}"


def sets_of(claim: PersistentVolumeClaim, world: World) -> Iterator[str]:
    """The StatefulSets that the name of a claim speaks of."""
    prefix = claim.metadata.name.rpartition("-")[0]
    for sts in world.list(StatefulSet, namespace=claim.metadata.namespace):
        if any(f"{template.name}-{sts.metadata.name}" == prefix for template in sts.spec.volume_claim_templates):
            yield sts.key


def volumes(sts: StatefulSet, ordinal: int, others: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pod's volumes: its claims, and those of the template that are not called like one."""
    claimed = {
        template.name: {
            "name": template.name,
            "persistentVolumeClaim": {"claimName": claim_name(sts, template, ordinal)},
        }
        for template in sts.spec.volume_claim_templates
    }
    return [*claimed.values(), *(volume for volume in others if volume.get("name") not in claimed)]


def present_claims(sts: StatefulSet, ordinal: int, world: World) -> list[PersistentVolumeClaim]:
    """The claims of one pod that are there."""
    names = (claim_name(sts, template, ordinal) for template in sts.spec.volume_claim_templates)
    found = (world.get(PersistentVolumeClaim, name, sts.metadata.namespace) for name in names)
    return [claim for claim in found if claim is not None]


def missing_claims(sts: StatefulSet, ordinal: int, world: World) -> list[Manifest]:
    """The claims of one pod that are yet to be made, as JSON."""
    present = {claim.metadata.name for claim in present_claims(sts, ordinal, world)}
    wanted = (_new_claim(sts, template, ordinal) for template in sts.spec.volume_claim_templates)
    return [claim for claim in wanted if claim["metadata"]["name"] not in present]


def _new_claim(sts: StatefulSet, template: ClaimTemplate, ordinal: int) -> Manifest:
    metadata = template.raw.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **sts.spec.selector.match_labels}
    kept = {**metadata, "name": claim_name(sts, template, ordinal), "labels": labels}
    if sts.spec.persistent_volume_claim_retention_policy.when_deleted == "Delete":
        kept["ownerReferences"] = [controller_reference(sts)]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {**kept, "namespace": sts.metadata.namespace},
        "spec": template.raw.get("spec") or {},
    }


def going_claim(sts: StatefulSet, ordinal: int, world: World, pod_name: str) -> str:
    """The name of a claim that is about to go: a pod made now would lose it. Empty if there is none."""
    for claim in present_claims(sts, ordinal, world):
        was_left = any((owner.kind, owner.name) == ("Pod", pod_name) for owner in claim.metadata.owner_references)
        if claim.metadata.deleted_at is not None or was_left:
            return claim.metadata.name
    return ""


def retained(sts: StatefulSet, ordinal: int, pod: Pod, is_condemned: bool, world: World) -> Plan:
    """Let the claims of a pod belong to whoever they should go with."""
    policy = sts.spec.persistent_volume_claim_retention_policy
    with_pod = is_condemned and policy.when_scaled == "Delete"
    with_set = policy.when_deleted == "Delete" and not with_pod
    for claim in present_claims(sts, ordinal, world):
        owners = claim.metadata.owner_references
        mine = {sts.metadata.uid, pod.metadata.uid}
        others = [owner for owner in owners if owner.uid not in mine]
        is_stale = any((owner.kind, owner.name) == ("Pod", pod.metadata.name) for owner in others)
        if is_stale or any(owner.controller for owner in others):
            continue  # it goes already, or is somebody else's
        wanted = [owner.to_wire() for owner in others]
        wanted += [controller_reference(sts)] if with_set else []
        wanted += [controller_reference(pod)] if with_pod else []
        if {owner["uid"] for owner in wanted} != {owner.uid for owner in owners}:
            yield Update(claim, {"metadata": {"ownerReferences": wanted or None}})
