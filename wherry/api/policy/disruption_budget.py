"""PodDisruptionBudget: how many pods of a workload may be missing by our own doing. Asked by pods/eviction."""

from __future__ import annotations

from datetime import datetime

from wherry.api.meta import Conditions, Selector
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class PodDisruptionBudgetSpec(View):
    """Which pods, and how many must stay or may go, as a number or a percentage."""

    selector: Selector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str = ""


class PodDisruptionBudgetStatus(View):
    """What is left to spend. `disrupted_pods` were evicted but are not seen gone yet."""

    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    observed_generation: int = 0
    disrupted_pods: dict[str, datetime] = {}
    conditions: Conditions = ()


class PodDisruptionBudget(Resource, group="policy", version="v1", short=("pdb",), subresources=("status",)):
    """How many pods of a workload may be missing by our own doing."""

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()

    counts_generations = True
    unconditional_update = False
