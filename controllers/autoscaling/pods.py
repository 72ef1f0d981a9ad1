"""Which pods' numbers count, and what the pods request. Kubernetes: replica_calculator.go, groupPods."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from controllers.autoscaling.seen import Sample, Samples
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition

# Kubernetes: --horizontal-pod-autoscaler-cpu-initialization-period and -initial-readiness-delay.
INITIALIZATION = timedelta(minutes=5)
READINESS_DELAY = timedelta(seconds=30)


class Unmeasured(Exception):
    """No number of replicas follows from this metric; the message says why."""


class Groups(NamedTuple):
    """How many pods' numbers count, and the names of the others: not up yet, without numbers, or on their way out."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def grouped(pods: Iterable[Pod], samples: Samples, resource: str, now: datetime) -> Groups:
    """Sort the pods by what their numbers are worth."""
    ready = 0
    unready, missing, ignored = set[str](), set[str](), set[str]()
    for pod in pods:
        name = pod.metadata.name
        sample = samples.get(name)
        if pod.metadata.deleted_at is not None or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif sample is None:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, sample, now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _is_starting(pod: Pod, sample: Sample, now: datetime) -> bool:
    """Whether the cpu it uses says more about its start than about its load."""
    condition, started_at = find_condition(pod.status.conditions, "Ready"), pod.status.start_time
    if condition is None or started_at is None:
        return True
    changed_at = condition.last_transition_time or started_at
    is_unready = condition.status == "False"
    if started_at + INITIALIZATION > now:
        window = timedelta(seconds=sample.window_seconds)
        return is_unready or (sample.at is not None and sample.at < changed_at + window)
    # It was never ready: its last change came right after its start.
    return is_unready and started_at + READINESS_DELAY > changed_at


def count_ready(pods: Iterable[Pod]) -> int:
    """How many run and are ready; Unmeasured if there are no pods at all."""
    listed = list(pods)
    if not listed:
        raise Unmeasured("unable to calculate ready pods: no pods returned by selector while calculating replica count")
    return sum(pod.status.phase == "Running" and pod.status.ready for pod in listed)


def requests_of(pods: Iterable[Pod], resource: str, container: str) -> dict[str, int]:
    """What each pod requests, in thousandths, or one container of each; Unmeasured if one of them requests nothing."""
    return {pod.metadata.name: _request(pod, resource, container) for pod in pods}


def _request(pod: Pod, resource: str, container: str) -> int:
    total = 0
    sidecars = (each for each in pod.spec.init_containers if each.is_sidecar)
    for each in (*pod.spec.containers, *sidecars):
        if container and each.name != container:
            continue
        request = each.resources.requests.get(resource)
        if request is None:
            raise Unmeasured(f"missing request for {resource} in container {each.name} of Pod {pod.metadata.name}")
        total += request.millis
    return total
