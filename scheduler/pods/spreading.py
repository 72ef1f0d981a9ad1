"""Spreading: a pod's topology spread constraints, their selectors compiled once, `matchLabelKeys` included."""

from __future__ import annotations

from typing import NamedTuple

from scheduler.pods.terms import joined
from wherry.api.core.pod import Pod
from wherry.api.core.pod.spec import TopologySpreadConstraint
from wherry.machinery.selectors import Requirements


class Constraint(NamedTuple):
    """How evenly pods of its namespace that `selector` selects spread over the values of `topology_key`."""

    topology_key: str
    max_skew: int
    is_required: bool
    selector: Requirements
    selects_itself: bool
    min_domains: int
    heeds_affinity: bool
    heeds_taints: bool


def constraints_of(pod: Pod) -> tuple[Constraint, ...]:
    """The constraints in the pod's order."""
    return tuple(_constraint(pod, constraint) for constraint in pod.spec.topology_spread_constraints)


def _constraint(pod: Pod, constraint: TopologySpreadConstraint) -> Constraint:
    labels = pod.metadata.labels
    selector = joined(constraint.label_selector, labels, constraint.match_label_keys)
    return Constraint(
        constraint.topology_key,
        constraint.max_skew,
        constraint.when_unsatisfiable == "DoNotSchedule",
        selector,
        selector.matches(labels),
        constraint.min_domains or 1,
        constraint.node_affinity_policy != "Ignore",
        constraint.node_taints_policy == "Honor",
    )
