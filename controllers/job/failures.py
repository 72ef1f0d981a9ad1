"""What the failure of a pod means for its Job. Kubernetes: job/pod_failure_policy.go."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from wherry.api.batch.job import TRACKING, Job
from wherry.api.batch.job_views import FailureRule, OnExitCodes
from wherry.api.core.pod import Pod
from wherry.api.core.pod.status import ContainerStatus


class Meaning(NamedTuple):
    """Whether a failure counts, and what the policy's rule says of it; `message` is why the Job fails at once."""

    counts: bool = True
    action: str = ""
    message: str = ""


def is_tracked(pod: Pod) -> bool:
    """Whether its end is still to be counted."""
    return TRACKING in pod.metadata.finalizers


def is_terminating(pod: Pod) -> bool:
    """Whether it is being deleted and still may run."""
    return pod.metadata.deleted_at is not None and not pod.is_finished


def is_failed(job: Job, pod: Pod) -> bool:
    """Whether it failed; one that is going away counts as failed, unless only what is gone may be replaced."""
    if pod.status.phase == "Failed":
        return True
    return is_terminating(pod) and not job.spec.replaces_failed_only


def meaning(job: Job, pod: Pod) -> Meaning:
    """What the Job's policy says of a failed pod; without a rule that fits it counts."""
    policy = job.spec.pod_failure_policy
    for index, rule in enumerate(policy.rules if policy is not None else ()):
        what = _matched(rule, pod)
        if what:
            message = f"{what} matching {rule.action} rule at index {index}" if rule.action == "FailJob" else ""
            return Meaning(rule.action != "Ignore", rule.action, message)
    return Meaning()


def _matched(rule: FailureRule, pod: Pod) -> str:
    if rule.on_exit_codes is not None:
        status = _ended_as(rule.on_exit_codes, pod)
        if status is not None and status.state.terminated is not None:
            code = status.state.terminated.exit_code
            return f"Container {status.name} for pod {pod.key} failed with exit code {code}"
    for pattern in rule.on_pod_conditions:
        for condition in pod.status.conditions:
            if (condition.type, condition.status) == (pattern.type, pattern.status):
                return f"Pod {pod.key} has condition {condition.type}"
    return ""


def _ended_as(codes: OnExitCodes, pod: Pod) -> ContainerStatus | None:
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        ended = status.state.terminated
        if ended is None or ended.exit_code == 0 or codes.container_name not in (None, status.name):
            continue
        if (ended.exit_code in codes.values) is (codes.operator == "In"):
            return status
    return None


def ended_at(pod: Pod) -> datetime | None:
    """When it ended, as far as anybody told."""
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    ends = [status.state.terminated.finished_at for status in statuses if status.state.terminated]
    latest = max((end for end in ends if end is not None), default=None)
    if latest is not None:
        return latest
    if pod.metadata.deleted_at is not None:
        return pod.metadata.deleted_at
    ready = next((condition for condition in pod.status.conditions if condition.type == "Ready"), None)
    return (ready.last_transition_time if ready is not None else None) or pod.metadata.created_at
