"""Where a pod may run: affinity, tolerations, spreading, gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from wherry.api.core.pod.spec import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    Toleration,
    TopologySpreadConstraint,
)
from wherry.api.meta import LocalReference, Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from wherry.machinery.validation import NOT_AN_OPERATOR, check_name, check_selector, each, under

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
NOT_POSITIVE = "must be greater than zero"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_ALREADY_SELECTED = "exists in both matchLabelKeys and labelSelector"


def check_affinity(affinity: Affinity) -> Iterator[FieldError]:
    """Everything the pod says about where it belongs; paths begin at `affinity`."""
    if affinity.node_affinity:
        yield from under("nodeAffinity", check_node_affinity(affinity.node_affinity))
    if affinity.pod_affinity:
        yield from under("podAffinity", _check_pod_affinity(affinity.pod_affinity))
    if affinity.pod_anti_affinity:
        yield from under("podAntiAffinity", _check_pod_affinity(affinity.pod_anti_affinity))


def check_node_affinity(affinity: NodeAffinity) -> Iterator[FieldError]:
    """Good terms, and wishes with a weight of 1 to 100."""
    if affinity.required_during_scheduling_ignored_during_execution is not None:
        yield from under(_REQUIRED, check_node_selector(affinity.required_during_scheduling_ignored_during_execution))
    for index, term in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
        path = f"{_PREFERRED}[{index}]"
        yield from _check_weight(f"{path}.weight", term.weight)
        # A wish may name label values that no node can have.
        yield from under(f"{path}.preference", _check_term(term.preference, are_values_checked=False))


def _check_weight(field: str, weight: int) -> Iterator[FieldError]:
    if not 1 <= weight <= 100:
        yield invalid(field, weight, "must be in the range 1-100")


def check_node_selector(selector: NodeSelector) -> Iterator[FieldError]:
    """At least one term, and good ones."""
    if not selector.node_selector_terms:
        yield required("nodeSelectorTerms", "must have at least one node selector term")
    yield from each("nodeSelectorTerms", selector.node_selector_terms, _check_term)


def _check_term(term: NodeSelectorTerm, are_values_checked: bool = True) -> Iterator[FieldError]:
    for index, requirement in enumerate(term.match_expressions):
        yield from under(f"matchExpressions[{index}]", _check_requirement(requirement, are_values_checked))
    yield from each("matchFields", term.match_fields, _check_field_requirement)


def _check_requirement(requirement: NodeSelectorRequirement, are_values_checked: bool) -> Iterator[FieldError]:
    operator, values = requirement.operator, requirement.values
    if operator in ("In", "NotIn"):
        if not values:
            yield required("values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden("values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required("values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid("operator", operator, NOT_AN_OPERATOR)
    yield from check_name("key", requirement.key, names.qualified_name)
    for index, value in enumerate(values if are_values_checked else ()):
        yield from check_name(f"values[{index}]", value, names.label_value)


def _check_field_requirement(requirement: NodeSelectorRequirement) -> Iterator[FieldError]:
    if requirement.operator not in ("In", "NotIn"):
        yield invalid("operator", requirement.operator, NOT_AN_OPERATOR)
    elif len(requirement.values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required("values", why)
    if requirement.key != "metadata.name":
        yield invalid("key", requirement.key, "not a valid field selector key")
    else:
        for index, value in enumerate(requirement.values):
            yield from check_name(f"values[{index}]", value, names.dns1123_subdomain)


def _check_pod_affinity(affinity: PodAffinity) -> Iterator[FieldError]:
    yield from each(_REQUIRED, affinity.required_during_scheduling_ignored_during_execution, _check_pod_term)
    for index, wish in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
        path = f"{_PREFERRED}[{index}]"
        yield from _check_weight(f"{path}.weight", wish.weight)
        yield from under(f"{path}.podAffinityTerm", _check_pod_term(wish.pod_affinity_term))


def _check_pod_term(term: PodAffinityTerm) -> Iterator[FieldError]:
    for field, selector in (("labelSelector", term.label_selector), ("namespaceSelector", term.namespace_selector)):
        if selector is not None:
            yield from check_selector(field, selector.raw)
    for namespace in term.namespaces:
        yield from check_name("namespace", namespace, names.dns1123_label)
    for field, keys in (("matchLabelKeys", term.match_label_keys), ("mismatchLabelKeys", term.mismatch_label_keys)):
        yield from _check_label_keys(field, keys, term.label_selector)
    for index, key in enumerate(term.match_label_keys):
        if key in term.mismatch_label_keys:
            yield invalid(f"matchLabelKeys[{index}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")
    if not term.topology_key:
        yield required("topologyKey", "can not be empty")
    yield from check_name("topologyKey", term.topology_key, names.qualified_name)


def _check_label_keys(field: str, keys: tuple[str, ...], selector: Selector | None) -> Iterator[FieldError]:
    if keys and selector is None:
        yield forbidden(field, "must not be specified when labelSelector is not set")
        return
    for index, key in enumerate(keys):
        yield from check_name(f"{field}[{index}]", key, names.qualified_name)


def check_toleration(toleration: Toleration) -> Iterator[FieldError]:
    """One toleration."""
    if toleration.key:
        yield from check_name("key", toleration.key, names.qualified_name)
    elif toleration.operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid("operator", toleration.operator, why)
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield invalid("effect", toleration.effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if toleration.operator in ("Equal", ""):
        if problems := names.label_value(toleration.value):
            yield invalid("operator", toleration.value, ";".join(problems))
    elif toleration.operator != "Exists":
        yield not_supported("operator", toleration.operator, ("Equal", "Exists"))
    elif toleration.value:
        yield invalid("operator", toleration.value, "value must be empty when `operator` is 'Exists'")
    if toleration.effect and toleration.effect not in TAINT_EFFECTS:
        yield not_supported("effect", toleration.effect, TAINT_EFFECTS)


def check_spreading(constraints: tuple[TopologySpreadConstraint, ...]) -> Iterator[FieldError]:
    """The list of topology spread constraints."""
    to_come = Counter((each.topology_key, each.when_unsatisfiable) for each in constraints)
    for index, constraint in enumerate(constraints):
        yield from under(f"[{index}]", _check_constraint(constraint))
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        to_come[pair] -= 1
        if to_come[pair]:
            yield duplicate(f"[{index}].{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}")


def _check_constraint(constraint: TopologySpreadConstraint) -> Iterator[FieldError]:
    action = constraint.when_unsatisfiable
    if constraint.max_skew <= 0:
        yield invalid("maxSkew", constraint.max_skew, NOT_POSITIVE)
    if not constraint.topology_key:
        yield required("topologyKey", "can not be empty")
    if action not in ("DoNotSchedule", "ScheduleAnyway"):
        yield not_supported("whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
    if constraint.min_domains is not None:
        if constraint.min_domains <= 0:
            yield invalid("minDomains", constraint.min_domains, NOT_POSITIVE)
        if action != "DoNotSchedule":
            why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            yield invalid("minDomains", constraint.min_domains, why)
    policies = (
        ("nodeAffinityPolicy", constraint.node_affinity_policy),
        ("nodeTaintsPolicy", constraint.node_taints_policy),
    )
    for field, policy in policies:
        if policy is not None and policy not in ("Honor", "Ignore"):
            yield not_supported(field, policy, ("Honor", "Ignore"))
    yield from _check_label_keys("matchLabelKeys", constraint.match_label_keys, constraint.label_selector)
    if constraint.label_selector is not None:
        for index, key in enumerate(constraint.match_label_keys):
            if _is_selected_besides(constraint.label_selector, key):
                yield invalid(f"matchLabelKeys[{index}]", key, _ALREADY_SELECTED)
        yield from check_selector("labelSelector", constraint.label_selector.raw)


def _is_selected_besides(selector: Selector, key: str) -> bool:
    """Whether a selector asks for a label in another way than by what was written into it for a `matchLabelKeys`."""
    asked = [each for each in selector.raw.get("matchExpressions") or () if each.get("key") == key]
    written = [each for each in asked if each.get("operator") == "In" and len(each.get("values") or ()) == 1]
    return key in selector.match_labels or len(asked) > 1 or asked != written


def check_gates(gates: Iterable[LocalReference]) -> Iterator[FieldError]:
    """Distinct qualified names."""
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        yield from check_name(f"[{index}]", gate.name, names.qualified_name)
        if gate.name in seen:
            yield duplicate(f"[{index}]", gate.name)
        seen.add(gate.name)
