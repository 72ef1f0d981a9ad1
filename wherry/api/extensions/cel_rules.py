"""Rules in CEL, as a definition declares them: do they compile, and can they be afforded?

Kubernetes: apiextensions `schema/cel` compilation and its cost limits. Differs: what a rule may cost is judged by
bounds of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from wherry.api.extensions.cel_types import type_problem
from wherry.machinery import jsonpath
from wherry.machinery.cel import Failure, Program
from wherry.machinery.cel.bounds import LONGEST_INPUT, Bounds, Extent, Size
from wherry.machinery.cel.syntax import Ident, Select
from wherry.machinery.cel.syntax import Node as Syntax
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.schema.rules import RULES, compiled_rule, names_old
from wherry.machinery.validation import under

Node = dict[str, Any]
# How long what is at and below each node of one schema may be, as far as it is known, by the nodes' ids.
_Lengths = dict[int, int]

REASONS = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")
# In units of `Bounds.work`, for one rule on everything that an object may hold.
MOST_WORK = 30_000_000
# Rules of one version of a kind: to compile one takes the better part of a millisecond.
MOST_RULES = 1000
# How many items a list without `maxItems` may have in the largest request.
_UNBOUNDED = 1_000_000


class _Place(NamedTuple):
    """Where a node stands: how often it may occur in an object, and whether its former value can be found."""

    times: float = 1
    has_past: bool = True


def check_cel_rules(root: Node, old: Node | None) -> Iterator[FieldError]:
    """Every rule that does not compile, gives something else than a truth value, or costs too much."""
    known = frozenset(_rules_of(old)) if old else frozenset[str]()
    count = sum(rule not in known for rule in _rules_of(root))
    if count > MOST_RULES:
        yield forbidden(RULES, f"must have at most {MOST_RULES} rules, counted with those below, but has {count}")
    else:
        yield from _check_node(root, _Place(), known, {})


def _rules_of(node: Node) -> Iterator[str]:
    """The texts of all rules: those that were accepted before need not be within today's cost."""
    nodes = [node]
    while nodes:
        here = nodes.pop()
        yield from (str(rule.get("rule")) for rule in here.get(RULES) or ())
        nodes += (child for _, child, _ in _children(here, _Place()))


def _children(node: Node, place: _Place) -> Iterator[tuple[str, Node, _Place]]:
    for name, child in (node.get("properties") or {}).items():
        yield f"properties[{name}]", child, place
    extra, items = node.get("additionalProperties"), node.get("items")
    if isinstance(extra, dict):
        most = node.get("maxProperties") or _UNBOUNDED
        yield "additionalProperties", extra, place._replace(times=place.times * most)
    if isinstance(items, dict):
        is_map = node.get("x-kubernetes-list-type") == "map"
        most = node.get("maxItems") or _UNBOUNDED
        yield "items", items, _Place(place.times * most, place.has_past and is_map)


def _check_node(node: Node, place: _Place, known: frozenset[str], lengths: _Lengths) -> Iterator[FieldError]:
    for index, rule in enumerate(node.get(RULES) or ()):
        yield from under(f"{RULES}[{index}]", _check_rule(rule, node, place, known, lengths))
    for path, child, below in _children(node, place):
        yield from under(path, _check_node(child, below, known, lengths))


def _check_rule(
    rule: Node, node: Node, place: _Place, known: frozenset[str], lengths: _Lengths
) -> Iterator[FieldError]:
    text = str(rule.get("rule") or "")
    if not text.strip():
        yield required("rule", "rule is not specified")
        return
    yield from _check_words(rule, node, is_known=text in known)
    program = compiled_rule(rule)
    if isinstance(program, Failure):
        yield invalid_rule("rule", rule, program.message)
        return
    wrong = type_problem(program.syntax, text, node) if text not in known else None
    if wrong is not None:
        yield invalid_rule("rule", rule, wrong)
        return
    if program.result_type not in ("bool", "dyn"):
        yield invalid_rule("rule", rule, "cel expression must evaluate to a bool")
    if names_old(program) and not place.has_past:
        yield invalid("rule", text, "oldSelf cannot be used on the uncorrelatable portion of the schema")
    if text not in known and _work(program, node, lengths) * place.times > MOST_WORK:
        why = "estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding "
        yield forbidden(
            "rule", why + "maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
        )


def _check_words(rule: Node, node: Node, *, is_known: bool) -> Iterator[FieldError]:
    message, expression = rule.get("message"), rule.get("messageExpression")
    if message and not str(message).strip():
        yield invalid("message", message, "message must be non-empty if specified")
    if message and "\n" in str(message):
        yield invalid("message", message, "message must not contain line breaks")
    if "\n" in str(rule.get("rule")) and not message:
        yield required("message", "message must be specified if rule contains line breaks")
    if expression:
        program = compiled_rule(rule, "messageExpression")
        if isinstance(program, Failure):
            yield invalid_rule(
                "messageExpression", rule, program.message.replace("compilation", "messageExpression compilation")
            )
        elif program.result_type not in ("string", "dyn"):
            yield invalid_rule("messageExpression", rule, "messageExpression must evaluate to a string")
    if rule.get("reason") and rule["reason"] not in REASONS:
        yield not_supported("reason", rule["reason"], REASONS)
    path = str(rule.get("fieldPath") or "")
    if path and ((len(path) > jsonpath.LONGEST and not is_known) or not _leads_somewhere(path, node)):
        yield invalid("fieldPath", rule["fieldPath"], "fieldPath must be a valid path")


def _leads_somewhere(path: str, node: Node) -> bool:
    try:
        steps = jsonpath.parse(path)
    except ValueError:
        return False
    here: Any = node
    for step in steps:
        if not isinstance(step, jsonpath.Key) or not isinstance(here, dict):
            return False
        fields = here.get("properties") or {}
        here = fields.get(step.name) if step.name in fields else here.get("additionalProperties")
    return isinstance(here, dict)


def invalid_rule(field: str, rule: Node, detail: str) -> FieldError:
    """An error about a rule, which Kubernetes prints as the struct that it is in Go."""

    def quoted(word: str) -> str:
        text = str(rule.get(word) or "").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'

    shown = f"apiextensions.ValidationRule{{Rule:{quoted('rule')}, Message:{quoted('message')}, "
    shown += f"MessageExpression:{quoted('messageExpression')}, Reason:(*apiextensions.FieldValueErrorReason)(nil), "
    shown += f"FieldPath:{quoted('fieldPath')}, OptionalOldSelf:(*bool)(nil)}}"
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")


def _work(program: Program, node: Node, lengths: _Lengths) -> float:
    """What one evaluation may have to look at."""

    def place(expression: Syntax) -> Extent | None:
        found = _at(expression, node)
        return None if found is None else Extent(_length(found), _longest(found, lengths))

    bounds = Bounds(Size(_longest(node, lengths), LONGEST_INPUT), frozenset(), most_work=MOST_WORK, place=place)
    bounds.of(program.syntax, {})
    return bounds.work


def _at(expression: Syntax, node: Node) -> Node | None:
    """The part of the schema that describes `self.a.b`."""
    match expression:
        case Ident("self" | "oldSelf"):
            return node
        case Select(operand, field):
            outer = _at(operand, node)
            found = (outer.get("properties") or {}).get(field) if outer is not None else None
            return found if isinstance(found, dict) else None
    return None


def _length(node: Node) -> int:
    """How long a text, list or map may be."""
    if node.get("type") == "string" and not node.get("enum") and not node.get("format"):
        return node.get("maxLength") or LONGEST_INPUT
    if node.get("type") == "array":
        return node.get("maxItems") or _UNBOUNDED
    if node.get("type") == "object" and "additionalProperties" in node:
        return node.get("maxProperties") or _UNBOUNDED
    return 1


def _longest(node: Node, lengths: _Lengths) -> int:
    """The length of the longest text, list or map at a node or below."""
    known = lengths.get(id(node))
    if known is None:
        below = (_longest(child, lengths) for _, child, _ in _children(node, _Place()))
        known = lengths[id(node)] = max([_length(node), *below])
    return known
