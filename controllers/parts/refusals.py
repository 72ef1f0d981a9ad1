"""Pods that their nodes refuse, and how long to wait before others are made instead.

Pods that are bound to a node come what may, and find no room there or no card that works, would otherwise be made and
refused without end, some thousands of them in a few minutes. Differs from Kubernetes, where ReplicaSets know no such
pause; its DaemonSets do.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from wherry.api.core.pod import Pod

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 300.0
# What was refused before counts no more.
MEMORY = timedelta(minutes=10)


def seconds_to_wait(pods: Iterable[Pod], replicas: int, now: datetime) -> float:
    """How long until more pods may be made: each of the replicas is replaced once at once, then ever more slowly."""
    refused = [made for pod in pods if _was_refused(pod) and (made := pod.metadata.created_at) and made > now - MEMORY]
    rounds = (len(refused) - 1) // max(replicas, 1)
    if rounds < 1:
        return 0.0
    pause = min(FIRST_SECONDS * 2.0 ** min(rounds - 1, 20), LONGEST_SECONDS)
    return max(pause - (now - max(refused)).total_seconds(), 0.0)


def _was_refused(pod: Pod) -> bool:
    """Whether it failed before any of its containers was made, as far as its node says."""
    seen = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return pod.status.phase == "Failed" and not any(each.container_id or each.state.terminated for each in seen)
