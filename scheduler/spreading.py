"""How pods are spread that do not say so themselves: the settings of PodTopologySpread, and what follows for a pod.

Kubernetes: PodTopologySpreadArgs and the system's default constraints. Differs: pods that ask for GPUs are not spread
by the system's constraints, as they are packed.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from scheduler.framework import PluginArgs
from scheduler.pods import PodView
from scheduler.pods.spreading import Constraint
from wherry.api.resource.gpu import RESOURCE
from wherry.machinery.selectors import EVERYTHING, Requirements

# For how many sorts of pods their constraints are kept.
MOST_KNOWN = 4096

Policy = Literal["Honor", "Ignore"]


class DefaultConstraint(PluginArgs):
    """A topology spread constraint without a selector: it is about the pod's like."""

    max_skew: int = Field(ge=1)
    topology_key: str = Field(min_length=1)
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    min_domains: int = Field(default=1, ge=1)
    node_affinity_policy: Policy = "Honor"
    node_taints_policy: Policy = "Ignore"

    @property
    def constraint(self) -> Constraint:
        """The same of a pod's, but for the selector."""
        return Constraint(
            self.topology_key,
            self.max_skew,
            self.when_unsatisfiable == "DoNotSchedule",
            EVERYTHING,
            True,
            self.min_domains,
            self.node_affinity_policy == "Honor",
            self.node_taints_policy == "Honor",
        )


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

    @cached_property
    def given(self) -> tuple[Constraint, ...]:
        """What pods without constraints get, but for the selectors."""
        return tuple(each.constraint for each in (SYSTEMS if self.is_systems else self.default_constraints))

    @cached_property
    def known(self) -> dict[tuple[Requirements, bool], tuple[Constraint, ...]]:
        """What pods got whose like is selected in this way, and who are selected themselves or not."""
        return {}

    def constraints(self, pod: PodView) -> tuple[Constraint, ...]:
        """The pod's own constraints, or those it gets."""
        if pod.spec.topology_spread_constraints:
            return pod.constraints
        if pod.kin is None or (self.is_systems and (pod.requests.get(RESOURCE) or pod.gpu_share)):
            return ()
        key = (pod.kin, pod.kin.matches(pod.metadata.labels))
        found = self.known.get(key)
        if found is None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            found = tuple(each._replace(selector=key[0], selects_itself=key[1]) for each in self.given)
            self.known[key] = found
        return found


SYSTEMS = tuple(
    DefaultConstraint(max_skew=skew, topology_key=key, when_unsatisfiable="ScheduleAnyway")
    for key, skew in (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))
)
