"""Deployment: ReplicaSets, one per version of the template, rolled from old to new; see controllers/deployment.py."""

from __future__ import annotations

from wherry.api.core.pod import PodTemplate
from wherry.api.meta import Conditions, Selector
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class RollingUpdate(View):
    """Bounds of a roll-out, as a number of pods or a percentage of the replicas."""

    max_unavailable: int | str = "25%"
    max_surge: int | str = "25%"


class DeploymentStrategy(View):
    """RollingUpdate or Recreate."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(View):
    """How many pods, made how, replaced how."""

    selector: Selector = Selector()
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    progress_deadline_seconds: int | None = None
    paused: bool = False


class DeploymentStatus(View):
    """How far the roll-out is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    collision_count: int | None = None
    conditions: Conditions = ()


class Deployment(
    Resource, group="apps", version="v1", short=("deploy",), categories=("all",), subresources=("scale", "status")
):
    """ReplicaSets, one per version of the template, rolled from old to new."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    counts_generations = True
