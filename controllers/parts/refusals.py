"""Pods that their nodes refuse, and how long to wait before others are made instead.

Pods that are bound to a node come what may, and find no room there or no card that works, would otherwise be made and
refused without end, some thousands of them in a few minutes. Differs from Kubernetes, where ReplicaSets know no such
pause; its DaemonSets do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from wherry.api.core.pod import Pod

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 300.0
# After so long without a refusal those before count no more. Longer than any pause, or it would begin small again.
MEMORY = timedelta(minutes=10)


def seconds_to_wait(pods: Sequence[Pod], replicas: int, now: datetime) -> float:
    """How long until more pods may be made: each of the replicas is replaced once at once, then ever more slowly."""
    refused = _in_a_row(pods, now)
    rounds = (len(refused) - 1) // max(replicas, 1)
    if rounds < 1:
        return 0.0
    pause = min(FIRST_SECONDS * 2.0 ** min(rounds - 1, 20), LONGEST_SECONDS)
    return max(pause - (now - refused[0]).total_seconds(), 0.0)


def _in_a_row(pods: Sequence[Pod], now: datetime) -> list[datetime]:
    """When those were made, newest first, whom nodes have refused since the last one that a node took."""
    taken = (pod for pod in pods if pod.status.phase != "Pending" and not _was_refused(pod))
    last_taken = max(_made(taken), default=None)
    row, after = list[datetime](), now
    for at in sorted(_made(filter(_was_refused, pods)), reverse=True):
        if after - at > MEMORY or (last_taken is not None and at <= last_taken):
            break
        if at <= now:  # or the clock was set back, and it would be long until then
            row.append(at)
            after = at
    return row


def _made(pods: Iterable[Pod]) -> Iterable[datetime]:
    return (at for pod in pods if (at := pod.metadata.created_at) is not None)


def _was_refused(pod: Pod) -> bool:
    """Whether it failed before any of its containers was made, as far as its node says."""
    seen = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return pod.status.phase == "Failed" and not any(each.container_id or each.state.terminated for each in seen)
