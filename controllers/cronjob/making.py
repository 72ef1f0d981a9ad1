"""The Job of a CronJob for one time. Its name comes from that time, so it is never started twice.

Kubernetes: getJobFromTemplate2.
"""

from __future__ import annotations

from datetime import datetime

from wherry.api.batch.cronjob import CronJob, time_zone
from wherry.api.batch.job import Job
from wherry.client.plan import Manifest
from wherry.machinery.meta import controller_reference

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def job_name(cronjob: CronJob, at: datetime) -> str:
    """The name of the Job for a time: minutes since 1970 tell it from all others."""
    return f"{cronjob.metadata.name}-{int(at.timestamp()) // 60}"


def job_for(cronjob: CronJob, at: datetime) -> Manifest:
    """The Job, as JSON."""
    template = cronjob.spec.job_template
    zone = cronjob.spec.time_zone
    local = at if zone is None else at.astimezone(time_zone(zone))
    text = local.isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata = {
        "name": job_name(cronjob, at),
        "namespace": cronjob.metadata.namespace,
        "labels": dict(template.metadata.labels),
        "annotations": {**template.metadata.annotations, SCHEDULED: text},
        "ownerReferences": [controller_reference(cronjob)],
    }
    kind = {"apiVersion": Job.kind.api_version, "kind": Job.kind.name}
    return {**kind, "metadata": metadata, "spec": template.raw.get("spec") or {}}
