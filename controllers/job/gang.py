"""The pod group of a Job whose pods are of use only together. Kubernetes: the Job controller's scheduling objects.

    spec:
      parallelism: 4
      scheduling: {schedulingPolicy: {gang: {}}}

Differs: there is no Workload between the Job and its group; Jobs without a gang have no group.
"""

from __future__ import annotations

from typing import Any

from wherry.api.batch.job import Job
from wherry.api.scheduling.pod_group import PodGroup
from wherry.client.controller import controller
from wherry.client.plan import Create, Plan, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference
from wherry.machinery.names import safe_hash

_MOST_PREFIX = 52


def group_name(job: Job) -> str:
    """The name of the group that the Job's pods belong to; empty if each goes alone, or they name one themselves."""
    scheduling = job.spec.scheduling
    template: dict[str, Any] = job.spec.template.raw.get("spec") or {}
    if scheduling is None or scheduling.scheduling_policy.gang is None or template.get("schedulingGroup"):
        return ""
    return f"{job.metadata.name[:_MOST_PREFIX]}-{safe_hash(job.metadata.uid.encode())}"


@controller(Job, owns=[PodGroup], name="job-gang")
def plan(job: Job, world: World) -> Plan:
    """Make the group, and follow the Job's number of pods."""
    name = group_name(job)
    if not name or job.is_finished or not job.spec.is_ours or job.metadata.deleted_at is not None:
        return
    wanted = {"gang": {"minCount": job.spec.gang_size}}
    groups = [group for group in world.owned(job, PodGroup) if group.metadata.name == name]
    if not groups:
        yield Create(_group(job, name, wanted))
    elif groups[0].spec.min_count != job.spec.gang_size:
        yield Update(groups[0], {"spec": {"schedulingPolicy": wanted}})


def _group(job: Job, name: str, policy: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"schedulingPolicy": policy}
    if job.spec.scheduling is not None and job.spec.scheduling.disruption_mode is not None:
        spec["disruptionMode"] = job.spec.scheduling.disruption_mode.to_wire()
    metadata = {
        "name": name,
        "namespace": job.metadata.namespace,
        "ownerReferences": [controller_reference(job)],
    }
    return {"apiVersion": PodGroup.kind.api_version, "kind": "PodGroup", "metadata": metadata, "spec": spec}
