"""Do the rules of a schema ask for fields that there are, and compare what can be compared?

    self.replicsa > 1       undefined field 'replicsa'
    self.replicas > "1"     found no matching overload for '_>_' applied to '(int, string)'

Kubernetes: cel-go's type checker over the types of a structural schema. Differs: only paths of fields from `self` and
`oldSelf`, literals and operators are looked at; everything else shows when the rule runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.machinery.cel.syntax import Call, Const, Ident, Select, children
from wherry.machinery.cel.syntax import Node as Syntax
from wherry.machinery.schema.rules import escaped, unescaped

Node = dict[str, Any]

_OPERATORS = {f"_{sign}_": sign for sign in (">=", "<=", "==", "!=", ">", "<", "+", "-", "*", "/", "%")}
_TYPES = {"integer": "int", "string": "string", "boolean": "bool"}
# What every object with metadata has besides what its schema says.
_OF_RESOURCES = ("apiVersion", "kind", "metadata")


def type_problem(syntax: Syntax, text: str, node: Node) -> str | None:
    """What is wrong first, as the compiler would say it; `text` is the rule, for a value that `node` describes."""
    for sign, problem in _problems(syntax, node):
        at = max(text.find(sign), 0)
        return f"compilation failed: ERROR: <input>:1:{at + 1}: {problem}\n | {text}\n | {'.' * at}^"
    return None


def _problems(syntax: Syntax, node: Node) -> Iterator[tuple[str, str]]:
    """Each problem, after the text by which its place is found."""
    for child in children(syntax):
        yield from _problems(child, node)
    if isinstance(syntax, Select):
        holder = _at(syntax.operand, node)
        if holder is not None and _is_closed(holder) and _child(holder, syntax.field) is None:
            yield f".{syntax.field}", f"undefined field '{syntax.field}'"
    if isinstance(syntax, Call) and syntax.function in _OPERATORS:
        types = [_type_of(each, node) for each in syntax.arguments]
        if "dyn" not in types and len(set(types)) > 1:
            applied = f"applied to '({', '.join(types)})'"
            yield _OPERATORS[syntax.function], f"found no matching overload for '{syntax.function}' {applied}"


def _at(syntax: Syntax, node: Node) -> Node | None:
    """What the schema says about `self.a.b`; None where it says nothing."""
    if isinstance(syntax, Ident):
        return node if syntax.name in ("self", "oldSelf") else None
    if not isinstance(syntax, Select) or syntax.is_test:
        return None
    holder = _at(syntax.operand, node)
    return _child(holder, syntax.field) if holder is not None else None


def _child(holder: Node, field: str) -> Node | None:
    name = unescaped(field)
    found = (holder.get("properties") or {}).get(name) if escaped(name) == field else None
    return found if isinstance(found, dict) else None


def _is_closed(node: Node) -> bool:
    """Whether its fields are all that it has."""
    if not node.get("properties") or "additionalProperties" in node or node.get("x-kubernetes-embedded-resource"):
        return False
    if any(name in node["properties"] for name in _OF_RESOURCES):
        return False
    return not node.get("x-kubernetes-preserve-unknown-fields")


def _type_of(syntax: Syntax, node: Node) -> str:
    if isinstance(syntax, Const):
        for type, name in ((bool, "bool"), (int, "int"), (str, "string")):
            if isinstance(syntax.value, type):
                return name
        return "dyn"
    found = _at(syntax, node)
    # A format may make another type of a text, such as a timestamp.
    if (
        found is None
        or found.get("x-kubernetes-int-or-string")
        or (found.get("type") == "string" and "format" in found)
    ):
        return "dyn"
    return _TYPES.get(str(found.get("type")), "dyn")
