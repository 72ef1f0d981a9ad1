"""The fields of the configuration file: Kubernetes' KubeSchedulerConfiguration, version v1, whole.

A field that has no meaning here is checked and changes nothing, so that a file written for kube-scheduler can be used
as it is: `parallelism`, profiling, `percentageOfNodesToScore` (all nodes are always looked at), and of
`clientConnection` all but the kubeconfig. A field that Kubernetes does not know is a mistake.

Differs: extenders are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from wherry.client.leader import Timing
from wherry.machinery.time import SECOND, parse_go_duration

DEFAULT_SCHEDULER = "default-scheduler"
LEASE, LEASE_NAMESPACE = "kube-scheduler", "kube-system"
# So that a sum of weighted scores stays exact.
MOST_WEIGHT = 10_000_000


def _seconds(text: Any) -> float:
    if not isinstance(text, str):
        raise ValueError("a Go duration is expected, such as 15s")
    return parse_go_duration(text) / SECOND


Duration = Annotated[float, BeforeValidator(_seconds)]
Percentage = Annotated[int, Field(ge=0, le=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class PluginName(_Part):
    """A plugin that is turned on or off; the weight is that of its score, 0 its own."""

    name: str
    weight: int | None = Field(default=None, ge=0, le=MOST_WEIGHT)


def _check_once(field: str, named: Iterable[PluginName | PluginConfig]) -> None:
    """Raise ValueError for a plugin that is spoken of twice: which one was meant?"""
    counts = Counter(each.name for each in named)
    if twice := [name for name, number in counts.items() if number > 1]:
        raise ValueError(f"{field}: {twice[0]} stands twice")


class PluginSet(_Part):
    """Differences from the default set."""

    enabled: tuple[PluginName, ...] = ()
    disabled: tuple[PluginName, ...] = ()

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        _check_once("enabled", self.enabled)
        return self


class Plugins(_Part):
    """Differences at all extension points, and at single ones."""

    multi_point: PluginSet = PluginSet()
    pre_enqueue: PluginSet = PluginSet()
    queue_sort: PluginSet = PluginSet()
    pre_filter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    post_filter: PluginSet = PluginSet()
    pre_score: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    pre_bind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    post_bind: PluginSet = PluginSet()


class PluginConfig(_Part):
    """Settings of one plugin."""

    name: str
    args: dict[str, Any] | None = None


class ProfileConfig(_Part):
    """One scheduler name, and how its pods are scheduled."""

    scheduler_name: str = Field(default=DEFAULT_SCHEDULER, min_length=1)
    percentage_of_nodes_to_score: Percentage | None = None
    plugins: Plugins = Plugins()
    plugin_config: tuple[PluginConfig, ...] = ()

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        _check_once("pluginConfig", self.plugin_config)
        return self


class LeaderElection(_Part):
    """Whether several schedulers may run of which one works, and by which Lease that is settled."""

    leader_elect: bool = True
    lease_duration: Duration = 15.0
    renew_deadline: Duration = 10.0
    retry_period: Duration = 2.0
    resource_lock: Literal["leases", ""] = "leases"
    resource_name: str = LEASE
    resource_namespace: str = LEASE_NAMESPACE

    @field_validator("resource_name")
    @classmethod
    def _has_a_name(cls, name: str) -> str:
        return name or LEASE

    @field_validator("resource_namespace")
    @classmethod
    def _has_a_namespace(cls, name: str) -> str:
        return name or LEASE_NAMESPACE

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if not self.leader_elect:
            return self
        if not self.lease_duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError("leaseDuration must be greater than renewDeadline, that than retryPeriod, and that than 0")
        return self

    @property
    def timing(self) -> Timing:
        """How the lease is kept."""
        return Timing(round(self.lease_duration), self.renew_deadline, self.retry_period)


class ClientConnection(_Part):
    """Where the API server is, unless the command line says so; there are no limits on requests."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 50.0
    burst: int = 100


class SchedulerConfig(_Part):
    """The whole file."""

    api_version: Literal["kubescheduler.config.k8s.io/v1"] = "kubescheduler.config.k8s.io/v1"
    kind: Literal["KubeSchedulerConfiguration"] = "KubeSchedulerConfiguration"
    parallelism: int = Field(default=16, ge=1)
    leader_election: LeaderElection = LeaderElection()
    client_connection: ClientConnection = ClientConnection()
    enable_profiling: bool = True
    enable_contention_profiling: bool = True
    percentage_of_nodes_to_score: Percentage | None = None
    pod_initial_backoff_seconds: int = Field(default=1, ge=1)
    pod_max_backoff_seconds: int = Field(default=10, ge=1)
    delay_cache_until_active: bool = False
    profiles: tuple[ProfileConfig, ...] = (ProfileConfig(),)
    extenders: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if not self.profiles:
            raise ValueError("profiles: at least one is needed")
        if len(self.profiles) > 1 and any("scheduler_name" not in each.model_fields_set for each in self.profiles):
            raise ValueError("profiles: of several each needs a schedulerName")
        if self.pod_max_backoff_seconds < self.pod_initial_backoff_seconds:
            raise ValueError("podMaxBackoffSeconds must be greater than or equal to podInitialBackoffSeconds")
        if self.extenders:
            raise ValueError("extenders are not served: what decides about nodes here is a plugin")
        return self
