"""Node selector terms over columns: where do they match? Kubernetes: component-helpers `nodeaffinity`."""

from __future__ import annotations

import re

import numpy as np

from scheduler.columns.arrays import Mask
from scheduler.columns.window import Columns
from wherry.api.core.pod.spec import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_INT64 = range(-(2**63), 2**63)


def is_empty(term: NodeSelectorTerm) -> bool:
    """Whether the term says nothing; such a term matches no node."""
    return not term.match_expressions and not term.match_fields


def matching_any(selector: NodeSelector, nodes: Columns) -> Mask:
    """Where at least one of the terms matches."""
    found = np.zeros(len(nodes), dtype=np.bool_)
    for term in selector.node_selector_terms:
        if not is_empty(term):
            found |= matching(term, nodes)
    return found


def matching(term: NodeSelectorTerm, nodes: Columns) -> Mask:
    """Where all requirements of the term hold."""
    found = np.ones(len(nodes), dtype=np.bool_)
    for requirement in term.match_expressions:
        found &= _holds(requirement, nodes)
    for requirement in term.match_fields:
        found &= _field_holds(requirement, nodes)
    return found


def _holds(requirement: NodeSelectorRequirement, nodes: Columns) -> Mask:
    labels, values = nodes.label(requirement.key), requirement.values
    match requirement.operator:
        case "In":
            return labels.is_in(values)
        case "NotIn":
            return ~labels.is_in(values)
        case "Exists":
            return ~labels.is_in([None])
        case "DoesNotExist":
            return labels.is_in([None])
        case "Gt" | "Lt" as operator:
            bound = integer(values[0]) if len(values) == 1 else None
            return labels.where(lambda value: _compares(integer(value), operator, bound))
        case _:
            return np.zeros(len(nodes), dtype=np.bool_)


def _field_holds(requirement: NodeSelectorRequirement, nodes: Columns) -> Mask:
    if requirement.key != "metadata.name" or requirement.operator not in ("In", "NotIn"):
        return np.zeros(len(nodes), dtype=np.bool_)
    named = nodes.name.is_in(requirement.values)
    return named if requirement.operator == "In" else ~named


def _compares(number: int | None, operator: str, bound: int | None) -> bool:
    if number is None or bound is None:
        return False
    return number > bound if operator == "Gt" else number < bound


def integer(text: str | None) -> int | None:
    """The 64-bit number a label or a bound stands for, if it stands for one.

    >>> integer("+08"), integer("1e3"), integer("9223372036854775808"), integer(None)
    (8, None, None, None)
    """
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None
