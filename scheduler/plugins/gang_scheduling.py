"""Keeps pods of a gang from being looked at before enough of them are there. Kubernetes: GangScheduling."""

from __future__ import annotations

from typing import ClassVar

from scheduler.framework import Plugin
from scheduler.triggers import Added, Changed, Trigger
from wherry.api.scheduling.pod_group import PodGroup


class GangScheduling(Plugin):
    """Has no opinion on nodes: the plan for all pods of a group is in `scheduler/gangs/`."""

    order = 2010
    gathers = True
    reads = ()
    retry_when: ClassVar[tuple[Trigger, ...]] = (Added(PodGroup), Changed(PodGroup, "spec"))
