"""Take a finished Job away, with its pods, after the time that it asks for. Kubernetes: TTLAfterFinished."""

from __future__ import annotations

from wherry.api.batch.job import Job
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Plan
from wherry.client.world import World


@controller(Job, name="ttl_after_finished")
def plan(job: Job, world: World) -> Plan:
    """Delete it, or come back when it is time."""
    seconds, at = job.spec.ttl_seconds_after_finished, job.finished_at
    if seconds is None or at is None or job.metadata.deleted_at is not None:
        return
    left = seconds - (world.now - at).total_seconds()
    if left <= 0:
        yield Delete(job, propagation="Foreground")
    else:
        yield CheckAgain(left)
