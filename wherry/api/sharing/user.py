"""Whose a pod is: the labels that people share a cluster by."""

from __future__ import annotations

from datetime import datetime

from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition

USER = "wherry.dev/user"
"""The label of a pod that names the person it runs for; without it the namespace stands for them."""


def user_of(pod: Pod) -> str:
    """The person a pod runs for."""
    return pod.metadata.labels.get(USER) or pod.metadata.namespace


def bound_at(pod: Pod) -> datetime | None:
    """Since when it holds what it asked for; None while it has no node."""
    if not pod.spec.node_name:
        return None
    scheduled = find_condition(pod.status.conditions, "PodScheduled")
    since = scheduled.last_transition_time if scheduled and scheduled.status == "True" else None
    return since or pod.status.start_time or pod.metadata.created_at
