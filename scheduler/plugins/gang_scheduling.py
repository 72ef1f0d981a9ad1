"""Keeps pods of a gang from being looked at before enough of them are there. Kubernetes: GangScheduling.

Differs: room is kept for a gang that has waited for a while.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from scheduler.framework import Plugin, PluginArgs
from scheduler.triggers import Added, Changed, Trigger
from wherry.api.scheduling.pod_group import PodGroup


class GangSchedulingArgs(PluginArgs):
    """After how many seconds room is kept for a gang that does not fit."""

    reserve_after_seconds: int = Field(default=60, ge=0)


class GangScheduling(Plugin):
    """Has no opinion on nodes: the plan for all pods of a group is in `scheduler/gangs/`."""

    order = 2010
    gathers = True
    reads = ()
    Args = GangSchedulingArgs
    retry_when: ClassVar[tuple[Trigger, ...]] = (Added(PodGroup), Changed(PodGroup, "spec"))
