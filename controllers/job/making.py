"""What a Job's pod looks like. Kubernetes: newPodTemplate and addCompletionIndex… of the Job controller."""

from __future__ import annotations

from typing import Any

from controllers.job.gang import group_name
from controllers.job.indexed import INDEX, next_counts
from wherry.api.batch.job import TRACKING, Job
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.client.plan import Manifest

VARIABLE = "JOB_COMPLETION_INDEX"
# What a name made up from a prefix leaves of 63 characters.
_MOST_PREFIX = 58


def tracked_pod(job: Job) -> Manifest:
    """A pod, as JSON, that will not be forgotten before it is counted."""
    pod = pod_from(job.spec.template, owner=job)
    if name := group_name(job):
        pod = {**pod, "spec": {**pod["spec"], "schedulingGroup": {"podGroupName": name}}}
    finalizers = pod["metadata"].get("finalizers") or []
    return {**pod, "metadata": {**pod["metadata"], "finalizers": [*finalizers, TRACKING]}}


def indexed_pod(job: Job, index: int, last: Pod | None) -> Manifest:
    """The same for an index, after its last pod if that failed."""
    pod, suffix = tracked_pod(job), f"-{index}-"
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = {**(metadata.get("annotations") or {}), INDEX: str(index), **next_counts(job, last)}
    metadata = {
        **metadata,
        "generateName": job.metadata.name[: _MOST_PREFIX - len(suffix)] + suffix,
        "labels": {**(metadata.get("labels") or {}), INDEX: str(index)},
        "annotations": annotations,
    }
    spec = {**spec, "hostname": f"{job.metadata.name}-{index}"}
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [_told_its_index(container) for container in spec[field]]
    return {**pod, "metadata": metadata, "spec": spec}


def _told_its_index(container: dict[str, Any]) -> dict[str, Any]:
    variables = container.get("env") or []
    if any(variable.get("name") == VARIABLE for variable in variables):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*variables, {"name": VARIABLE, "valueFrom": source}]}
