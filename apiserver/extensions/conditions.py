"""What a definition's conditions should say: are its names free, are its schemas in order, is it served?

Pure. Kubernetes: the naming, establishing, non-structural schema and API approval controllers of apiextensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.api.extensions.definition_rules import APPROVED, is_protected
from wherry.api.extensions.definition_views import Names
from wherry.api.meta import Condition, Conditions, has_condition, with_condition, without_condition
from wherry.machinery.resource import all_kinds
from wherry.machinery.time import time_text

Draft = dict[str, Any]


def status_of(
    definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition], now: datetime
) -> tuple[Conditions, Names]:
    """The conditions and the accepted names; `others` are all definitions."""
    rivals = [other for other in others if other.key != definition.key and other.spec.group == definition.spec.group]
    names, problem = _accepted(definition, rivals)
    conditions = definition.status.conditions
    if problem is None:
        conditions = with_condition(
            conditions, _condition("NamesAccepted", True, "NoConflicts", "no conflicts found"), now
        )
        if not has_condition(conditions, "Established"):
            told = _condition("Established", True, "InitialNamesAccepted", "the initial names have been accepted")
            conditions = with_condition(conditions, told, now)
    else:
        conditions = with_condition(conditions, problem, now)
        if not has_condition(conditions, "Established"):
            told = _condition("Established", False, "NotAccepted", "not all names are accepted")
            conditions = with_condition(conditions, told, now)
    conditions = _with_approval(definition, conditions, now)
    return without_condition(conditions, "NonStructuralSchema"), names


def told_in(draft: Draft, conditions: Conditions, names: Names) -> Draft:
    """A stored definition with this status."""
    status = draft.setdefault("status", {})
    status["conditions"] = [_wire(condition) for condition in conditions]
    status["acceptedNames"] = {"plural": names.plural, **names.to_wire(), "kind": names.kind}
    return draft


def _wire(condition: Condition) -> Draft:
    at = condition.last_transition_time
    return {
        "type": condition.type,
        "status": condition.status,
        "lastTransitionTime": time_text(at) if at else None,
        "reason": condition.reason,
        "message": condition.message,
    }


def _accepted(
    definition: CustomResourceDefinition, rivals: list[CustomResourceDefinition]
) -> tuple[Names, Condition | None]:
    """The names it may go by: those that no other kind of its group has, built in or not; and the last conflict."""
    wanted, current = definition.spec.names, definition.status.accepted_names
    built_in = [cls.kind for cls in all_kinds() if cls.kind.group == definition.spec.group]
    # Two servers may have accepted two rivals at the same moment. Then the older one keeps what both hold.
    rivals = [rival for rival in rivals if not _holds_what(definition, rival)]
    taken = {name for rival in rivals for name in _resources(rival.status.accepted_names)}
    taken |= {name for kind in built_in for name in (kind.plural, kind.singular_name, *kind.short_names)}
    kinds = {name for rival in rivals for name in _kinds(rival.status.accepted_names)}
    kinds |= {name for kind in built_in for name in (kind.name, kind.list_kind)}
    accepted: dict[str, Any] = {"categories": wanted.categories}
    problem: Condition | None = None
    for field, reason, in_use in (
        ("plural", "PluralConflict", taken),
        ("singular", "SingularConflict", taken),
        ("short_names", "ShortNamesConflict", taken),
        ("kind", "KindConflict", kinds),
        ("list_kind", "ListKindConflict", kinds),
    ):
        name = getattr(wanted, field)
        clashes = [each for each in (name if isinstance(name, tuple) else (name,)) if each in in_use]
        accepted[field] = name if not clashes else _kept(getattr(current, field), clashes)
        if clashes:
            message = ", ".join(f'"{each}" is already in use' for each in clashes)
            message = f"[{message}]" if len(clashes) > 1 else message
            problem = _condition("NamesAccepted", False, reason, message)
    return Names(**accepted), problem


def share_a_name(one: CustomResourceDefinition, other: CustomResourceDefinition) -> bool:
    """Whether both were given the same name, which only several servers can do."""
    if one.spec.group != other.spec.group or one.key == other.key:
        return False
    ours, theirs = one.status.accepted_names, other.status.accepted_names
    return bool({*_resources(ours)} & {*_resources(theirs)} or {*_kinds(ours)} & {*_kinds(theirs)})


def _holds_what(definition: CustomResourceDefinition, rival: CustomResourceDefinition) -> bool:
    """Whether the definition, as the older one, holds a name that the rival holds as well."""
    return _age(definition) < _age(rival) and share_a_name(definition, rival)


def _age(definition: CustomResourceDefinition) -> tuple[str, str]:
    created = definition.metadata.created_at
    return (time_text(created) if created else "", definition.metadata.uid)


def _kept(current: Any, clashes: list[str]) -> Any:
    """What it may still go by: a name that somebody else holds it must give back."""
    if isinstance(current, tuple):
        return tuple(name for name in current if name not in clashes)
    return "" if current in clashes else current


def _resources(names: Names) -> Iterator[str]:
    yield from filter(None, (names.plural, names.singular, *names.short_names))


def _kinds(names: Names) -> Iterator[str]:
    yield from filter(None, (names.kind, names.list_kind))


def _with_approval(definition: CustomResourceDefinition, conditions: Conditions, now: datetime) -> Conditions:
    if not is_protected(definition.spec.group):
        return conditions
    approval = definition.metadata.annotations.get(APPROVED, "")
    if approval.startswith("unapproved"):
        told = _condition(
            "KubernetesAPIApprovalPolicyConformant", False, "UnapprovedAPI", f'not approved: "{approval}"'
        )
    else:
        told = _condition(
            "KubernetesAPIApprovalPolicyConformant", True, "ApprovedAnnotation", f"approved in {approval}"
        )
    return with_condition(conditions, told, now)


def _condition(type: str, is_true: bool, reason: str, message: str) -> Condition:
    return Condition(type=type, status=str(is_true), reason=reason, message=message)
