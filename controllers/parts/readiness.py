"""How long pods have been ready, and which of them count as available. Kubernetes: podutil.IsPodAvailable."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition


def ready_since(pod: Pod) -> datetime | None:
    """When a pod that is ready became so."""
    ready = find_condition(pod.status.conditions, "Ready")
    return ready.last_transition_time if ready is not None and ready.is_true else None


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Whether a pod has been ready for long enough to be counted on."""
    return pod.status.ready and (not min_ready_seconds or seconds_until_available(pod, min_ready_seconds, now) <= 0)


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float:
    """How much longer a ready pod must stay ready; 0 or less when it is available."""
    return min_ready_seconds - (now - (ready_since(pod) or now)).total_seconds()


def next_availability(pods: Iterable[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """In how many seconds the next of the ready pods becomes available, None if none is waiting for that."""
    if not min_ready_seconds:
        return None
    waits = [seconds_until_available(pod, min_ready_seconds, now) for pod in pods if pod.status.ready]
    return min((wait for wait in waits if wait > 0), default=None)
