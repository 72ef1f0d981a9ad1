"""What pod groups and the templates of workloads have in common: how their pods are scheduled, and its rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wherry.api.scheduling.priority_class import HIGHEST_OF_USERS
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, immutable, invalid, required, too_many
from wherry.machinery.validation import check_name, each, unchanged, under
from wherry.machinery.view import Verbatim, View

GROUP = "scheduling.k8s.io"
MOST_CLAIMS, MOST_TOPOLOGY_CONSTRAINTS = 4, 1


class GangPolicy(View):
    """At least so many at the same time, or none."""

    min_count: int = 0


class SchedulingPolicy(View):
    """One of the two: each pod for itself, or all or none."""

    basic: Verbatim | None = None
    gang: GangPolicy | None = None


class DisruptionMode(View):
    """Whether pods of the group may be sent away one by one, or only all together."""

    single: Verbatim | None = None
    all: Verbatim | None = None


class TopologyConstraint(View):
    """All pods of the group belong where this label of the nodes has one value."""

    key: str = ""


class SchedulingConstraints(View):
    """Where the group as a whole may be."""

    topology: tuple[TopologyConstraint, ...] = ()


class GroupClaim(View):
    """A claim on devices that the pods of a group share."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class GroupRules(View):
    """The fields that a pod group has, and a template of one."""

    scheduling_policy: SchedulingPolicy = SchedulingPolicy()
    scheduling_constraints: SchedulingConstraints | None = None
    disruption_mode: DisruptionMode | None = None
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None
    resource_claims: tuple[GroupClaim, ...] = ()

    @property
    def min_count(self) -> int:
        """How many pods are scheduled at the same time, or none; 0 if each is scheduled for itself."""
        return self.scheduling_policy.gang.min_count if self.scheduling_policy.gang else 0

    @property
    def goes_as_one(self) -> bool:
        """Whether its pods may be sent away only all together."""
        return self.disruption_mode is not None and self.disruption_mode.all is not None


def check_rules(rules: GroupRules) -> Iterator[FieldError]:
    """Every broken rule of a group, or of a template."""
    policy, mode = rules.scheduling_policy, rules.disruption_mode
    yield from one_member("schedulingPolicy", {"basic": policy.basic, "gang": policy.gang})
    if policy.gang is not None:
        yield from _check_count("schedulingPolicy.gang.minCount", policy.gang.min_count)
    if mode is not None:
        yield from one_member("disruptionMode", {"all": mode.all, "single": mode.single})
    if rules.scheduling_constraints is not None:
        constraints = rules.scheduling_constraints.topology
        yield from under("schedulingConstraints.topology", _check_topology(constraints))
    if rules.priority_class_name:
        yield from check_name("priorityClassName", rules.priority_class_name, names.dns1123_subdomain)
    if rules.priority is not None and rules.priority > HIGHEST_OF_USERS:
        yield invalid("priority", rules.priority, f"must be less than or equal to {HIGHEST_OF_USERS}")
    if len(rules.resource_claims) > MOST_CLAIMS:
        yield too_many("resourceClaims", len(rules.resource_claims), MOST_CLAIMS)
    yield from each("resourceClaims", rules.resource_claims, _check_claim)


def check_change(rules: GroupRules, before: GroupRules) -> Iterator[FieldError]:
    """What cannot be changed: everything but how many pods are enough."""
    if (rules.scheduling_policy.gang is None) != (before.scheduling_policy.gang is None):
        yield immutable("schedulingPolicy", rules.scheduling_policy.to_wire())
    for name in ("schedulingConstraints", "disruptionMode", "priorityClassName", "priority", "preemptionPolicy"):
        yield from unchanged(name, rules.to_wire().get(name), before.to_wire().get(name))
    if rules.resource_claims != before.resource_claims:
        yield immutable("resourceClaims", [claim.to_wire() for claim in rules.resource_claims])


def one_member(field: str, members: Mapping[str, Any]) -> Iterator[FieldError]:
    """Exactly one of these fields must be there."""
    given = [name for name, value in members.items() if value is not None]
    choices = ", ".join(f"`{name}`" for name in members)
    if not given:
        yield invalid(field, "", f"must specify one of: {choices}")
    elif len(given) > 1:
        yield invalid(field, f"{{{', '.join(given)}}}", f"must specify exactly one of: {choices}")


def _check_count(field: str, count: int) -> Iterator[FieldError]:
    if not count:
        yield required(field)
    elif count < 0:
        yield invalid(field, count, "must be greater than or equal to 1")


def _check_topology(constraints: tuple[TopologyConstraint, ...]) -> Iterator[FieldError]:
    if constraints:
        yield forbidden("", "pods of a group are not kept in one topology domain here; use their podAffinity")
    if len(constraints) > MOST_TOPOLOGY_CONSTRAINTS:
        yield too_many("", len(constraints), MOST_TOPOLOGY_CONSTRAINTS)


def _check_claim(claim: GroupClaim) -> Iterator[FieldError]:
    yield from check_name("name", claim.name, names.dns1123_label)
    sources = {
        "resourceClaimName": claim.resource_claim_name,
        "resourceClaimTemplateName": claim.resource_claim_template_name,
    }
    yield from one_member("", sources)
