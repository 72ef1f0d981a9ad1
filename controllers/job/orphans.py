"""Free pods that wait to be counted by a Job that is gone. Kubernetes: syncOrphanPod of the Job controller."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.job.failures import is_tracked
from controllers.job.plan import freed
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import Plan
from wherry.client.world import World


def pods_of_gone(job: Job, world: World) -> Iterator[str]:
    """The pods of a Job that is no more, or is on its way."""
    now = world.get(Job, job.metadata.name, job.metadata.namespace)
    if now is None or now.metadata.uid != job.metadata.uid:
        for pod in world.owned(job, Pod):
            yield pod.key


@controller(Pod, wakes={Job: pods_of_gone}, name="job_orphans")
def plan(pod: Pod, world: World) -> Plan:
    """Take the finalizer off a pod that no Job will count."""
    if not is_tracked(pod):
        return
    owner = pod.metadata.controller
    if owner is not None and owner.kind != "Job":
        return
    job = world.get(Job, owner.name, pod.metadata.namespace) if owner is not None else None
    if job is None or owner is None or job.metadata.uid != owner.uid or job.is_finished:
        yield from freed([pod])
