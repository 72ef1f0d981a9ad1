"""ResourceQuota: how much a namespace may hold.

Charged by apiserver/admission/resource_quota.py, counted again by controllers/resource_quota.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wherry.api.core.resource_rules import check_amount, quota_resource_problems
from wherry.machinery.field_errors import FieldError, immutable, invalid, required
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import NOT_AN_OPERATOR, under
from wherry.machinery.view import View

BEST_EFFORT, NOT_BEST_EFFORT = "BestEffort", "NotBestEffort"
TERMINATING, NOT_TERMINATING = "Terminating", "NotTerminating"
PRIORITY_CLASS, CROSS_NAMESPACE = "PriorityClass", "CrossNamespacePodAffinity"
VOLUME_ATTRIBUTES_CLASS = "VolumeAttributesClass"
_CONFLICTING = ({BEST_EFFORT, NOT_BEST_EFFORT}, {TERMINATING, NOT_TERMINATING})
_ONLY_EXISTS = (TERMINATING, NOT_TERMINATING, BEST_EFFORT, NOT_BEST_EFFORT, CROSS_NAMESPACE)
_PODS = frozenset({"pods"})
_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
# Which of the standard resources a scope can tell apart.
_COUNTED_IN = {
    TERMINATING: _PODS | _COMPUTE,
    NOT_TERMINATING: _PODS | _COMPUTE,
    BEST_EFFORT: _PODS,
    NOT_BEST_EFFORT: _PODS | _COMPUTE,
    PRIORITY_CLASS: _PODS | _COMPUTE,
    CROSS_NAMESPACE: _PODS | _COMPUTE,
    VOLUME_ATTRIBUTES_CLASS: frozenset({"persistentvolumeclaims", "requests.storage"}),
}


class ScopeRequirement(View):
    """One term about what a scope tells apart."""

    scope_name: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class ScopeSelector(View):
    """Terms that must all hold."""

    match_expressions: tuple[ScopeRequirement, ...] = ()


class ResourceQuotaSpec(View):
    """The most of each resource, and which objects count."""

    hard: dict[str, Quantity] = {}
    scopes: tuple[str, ...] = ()
    scope_selector: ScopeSelector | None = None

    @property
    def requirements(self) -> Iterator[ScopeRequirement]:
        """What an object must fulfil to count."""
        yield from (ScopeRequirement(scope_name=scope, operator="Exists") for scope in self.scopes)
        if self.scope_selector is not None:
            yield from self.scope_selector.match_expressions


class ResourceQuotaStatus(View):
    """The limits in force, and how much of them is taken."""

    hard: dict[str, Quantity] = {}
    used: dict[str, Quantity] = {}


class ResourceQuota(Resource, version="v1", short=("quota",), subresources=("status",)):
    """How much a namespace may hold."""

    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()

    delete_returns_object = True
    columns = (
        Column("Request", lambda quota: _cell(quota.status, are_limits=False)),
        Column("Limit", lambda quota: _cell(quota.status, are_limits=True)),
        AGE,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Nothing is in force before the controller has counted."""
        draft["status"] = {}

    def validate(self, old: ResourceQuota | None) -> Iterator[FieldError]:
        """Every broken rule; which objects count is for life."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None and set(self.spec.scopes) != set(old.spec.scopes):
            yield immutable("spec.scopes", self.spec.scopes)

    def validate_status(self, old: ResourceQuota) -> Iterator[FieldError]:
        """Every broken rule of a count."""
        yield from under("status.hard", check_amounts(self.status.hard))
        yield from under("status.used", check_amounts(self.status.used))


def _cell(status: ResourceQuotaStatus, *, are_limits: bool) -> str:
    names = sorted(name for name in status.hard if name.startswith("limits.") == are_limits)
    return ", ".join(f"{name}: {status.used.get(name, Quantity())}/{status.hard[name]}" for name in names)


def check_amounts(amounts: Mapping[str, Quantity]) -> Iterator[FieldError]:
    """Known resources, in amounts that make sense."""
    for name, amount in amounts.items():
        yield from (invalid(f"[{name}]", name, problem) for problem in quota_resource_problems(name))
        yield from check_amount(f"[{name}]", name, amount)


def _check_spec(spec: ResourceQuotaSpec) -> Iterator[FieldError]:
    yield from under("hard", check_amounts(spec.hard))
    for scope in spec.scopes:
        if scope not in _COUNTED_IN:
            yield invalid("scopes", spec.scopes, "unsupported scope")
        for _ in _foreign(scope, spec.hard):
            yield invalid("scopes", spec.scopes, "unsupported scope applied to resource")
    for pair in _CONFLICTING:
        if pair <= set(spec.scopes):
            yield invalid("scopes", spec.scopes, "conflicting scopes")
    if spec.scope_selector is not None:
        yield from under("scopeSelector.matchExpressions", _check_selector(spec.scope_selector, spec.hard))


def _foreign(scope: str, hard: Iterable[str]) -> list[str]:
    """The standard resources that do not go with a scope; those of others do with any."""
    known = _COUNTED_IN.get(scope)
    return [] if known is None else [name for name in sorted(hard) if "/" not in name and name not in known]


def _check_selector(selector: ScopeSelector, hard: Mapping[str, Quantity]) -> Iterator[FieldError]:
    for one in selector.match_expressions:
        if one.scope_name not in _COUNTED_IN:
            yield invalid("scopeName", one.scope_name, "unsupported scope")
        for _ in _foreign(one.scope_name, hard):
            yield invalid("", selector.to_wire()["matchExpressions"], "unsupported scope applied to resource")
        if one.scope_name in _ONLY_EXISTS and one.operator != "Exists":
            *scopes, last = (f"ResourceQuotaScope{name}" for name in _ONLY_EXISTS)
            yield invalid(
                "operator", one.operator, f"must be 'Exist' when scope is any of {', '.join(scopes)} or {last}"
            )
        yield from _check_operator(one)


def _check_operator(one: ScopeRequirement) -> Iterator[FieldError]:
    if one.operator in ("In", "NotIn"):
        if not one.values:
            yield required("values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
    elif one.operator in ("Exists", "DoesNotExist"):
        if one.values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield invalid("values", one.values, why)
    else:
        yield invalid("operator", one.operator, NOT_AN_OPERATOR)
