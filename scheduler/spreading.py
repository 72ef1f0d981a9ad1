"""How pods are spread that do not say so themselves: the settings of PodTopologySpread, and what follows for a pod.

Kubernetes: PodTopologySpreadArgs and the system's default constraints. Differs: pods that ask for GPUs are not spread
by the system's constraints, as they are packed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, Self

from pydantic import Field, model_validator

from scheduler.framework import PluginArgs
from scheduler.pods import PodView
from scheduler.pods.spreading import Constraint
from wherry.api.resource.gpu import RESOURCE
from wherry.machinery.selectors import Requirements

Policy = Literal["Honor", "Ignore"]


class DefaultConstraint(PluginArgs):
    """A topology spread constraint without a selector: it is about the pod's like."""

    max_skew: int = Field(ge=1)
    topology_key: str = Field(min_length=1)
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    min_domains: int = Field(default=1, ge=1)
    node_affinity_policy: Policy = "Honor"
    node_taints_policy: Policy = "Ignore"


class PodTopologySpreadArgs(PluginArgs):
    """How pods without constraints are spread: as the system does, or by a list; an empty list leaves them alone."""

    default_constraints: tuple[DefaultConstraint, ...] = ()
    defaulting_type: Literal["System", "List"] = "System"

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.defaulting_type == "System" and self.default_constraints:
            raise ValueError("defaultConstraints: must be empty when defaultingType is System; set it to List")
        pairs = [(each.topology_key, each.when_unsatisfiable) for each in self.default_constraints]
        if twice := next((key for key, action in pairs if pairs.count((key, action)) > 1), ""):
            raise ValueError(f"defaultConstraints: topologyKey {twice!r} stands twice with the same whenUnsatisfiable")
        return self

    @property
    def is_systems(self) -> bool:
        """Whether pods without constraints get the system's."""
        return self.defaulting_type == "System"

    def constraints(self, pod: PodView) -> tuple[Constraint, ...]:
        """The pod's own constraints, or those it gets."""
        if pod.spec.topology_spread_constraints:
            return pod.constraints
        if pod.kin is None or (self.is_systems and (pod.requests.get(RESOURCE) or pod.gpu_share)):
            return ()
        wanted = SYSTEMS if self.is_systems else self.default_constraints
        return _about(wanted, pod.kin, pod.kin.matches(pod.metadata.labels))


SYSTEMS = tuple(
    DefaultConstraint(max_skew=skew, topology_key=key, when_unsatisfiable="ScheduleAnyway")
    for key, skew in (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))
)


@lru_cache(maxsize=4096)
def _about(
    wanted: tuple[DefaultConstraint, ...], selector: Requirements, selects_itself: bool
) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(
            each.topology_key,
            each.max_skew,
            each.when_unsatisfiable == "DoNotSchedule",
            selector,
            selects_itself,
            each.min_domains,
            each.node_affinity_policy == "Honor",
            each.node_taints_policy == "Honor",
        )
        for each in wanted
    )
