"""Views on a Job's desired state. Kubernetes: batch/v1 JobSpec."""

from __future__ import annotations

from wherry.api.core.pod import PodTemplate
from wherry.api.meta import NOTHING, Selector
from wherry.api.scheduling.group_policy import DisruptionMode, SchedulingPolicy
from wherry.machinery.view import Verbatim, View

OWN_CONTROLLER = "kubernetes.io/job-controller"


class OnExitCodes(View):
    """Containers that ended with one of these codes (In), or with none of them and not with 0 (NotIn)."""

    operator: str = ""
    values: tuple[int, ...] = ()
    container_name: str | None = None


class OnPodCondition(View):
    """A condition of the pod."""

    type: str = ""
    status: str = "True"


class FailureRule(View):
    """What a failure means that shows these codes or one of these conditions."""

    action: str = ""
    on_exit_codes: OnExitCodes | None = None
    on_pod_conditions: tuple[OnPodCondition, ...] = ()


class PodFailurePolicy(View):
    """The first rule that fits decides; a failure that none fits counts."""

    rules: tuple[FailureRule, ...] = ()


class SuccessRule(View):
    """All of these indexes, so many of them, or so many of any."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(View):
    """The first rule that fits ends the Job well."""

    rules: tuple[SuccessRule, ...] = ()


class JobScheduling(View):
    """Whether its pods get their nodes one by one, or all at the same time."""

    scheduling_policy: SchedulingPolicy = SchedulingPolicy()
    disruption_mode: DisruptionMode | None = None
    scheduling_constraints: Verbatim | None = None
    resource_claims: tuple[Verbatim, ...] = ()


class JobSpec(View):
    """What to run, how often, how many at a time, and when to give up."""

    template: PodTemplate = PodTemplate()
    selector: Selector = NOTHING
    manual_selector: bool = False
    parallelism: int = 1
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    pod_replacement_policy: str | None = None
    managed_by: str | None = None
    scheduling: JobScheduling | None = None

    @property
    def pods_at_once(self) -> int:
        """How many pods run at the same time, at most."""
        return self.parallelism if self.completions is None else min(self.parallelism, self.completions)

    @property
    def gang_size(self) -> int:
        """How many pods get their nodes at the same time, if they are a gang; 0 if they are none."""
        gang = self.scheduling.scheduling_policy.gang if self.scheduling else None
        return (gang.min_count or self.pods_at_once) if gang else 0

    @property
    def is_ours(self) -> bool:
        """Whether the cluster's own controller is in charge."""
        return self.managed_by in (None, OWN_CONTROLLER)

    @property
    def replaces_failed_only(self) -> bool:
        """Whether a pod that is going must be gone before another takes its place."""
        return self.pod_replacement_policy == "Failed"
