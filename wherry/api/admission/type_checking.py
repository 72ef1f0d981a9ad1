"""What can be said about a policy's expressions before any request: unknown fields, operators that do not fit.

    object.spec.replicas > "1"    found no matching overload for '_>_' applied to '(int, string)'
    object.spec.replica > 1       undefined field 'replica'

Kubernetes: admission/plugin/policy/validating/typechecking.go. Differs: only paths of fields, literals and operators
are looked at, in built-in kinds; a warning names no column.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.expressions import compiled
from wherry.api.admission.matching import NamedRuleWithOperations
from wherry.api.admission.validating_admission_policy import ExpressionWarning, ValidatingAdmissionPolicySpec
from wherry.machinery.cel import Failure
from wherry.machinery.cel.syntax import Call, Const, Ident, Node, Select, children
from wherry.machinery.resource import Resource, kind_at
from wherry.machinery.schema import Schema

# Kubernetes: of more kinds than this the first ones are looked at.
MAX_KINDS = 10

_OBJECTS = ("object", "oldObject")
_OPERATORS = frozenset(("_>_", "_<_", "_>=_", "_<=_", "_==_", "_!=_", "_+_", "_-_", "_*_", "_/_", "_%_"))
_TYPES = {"integer": "int", "string": "string", "boolean": "bool", "number": "double"}


def warnings_of(spec: ValidatingAdmissionPolicySpec) -> tuple[ExpressionWarning, ...]:
    """Every warning, in the order of the fields."""
    kinds = list(_kinds(spec))[:MAX_KINDS]
    found = []
    for field, expression in _expressions(spec):
        program = compiled(expression) if expression else None
        if program is None or isinstance(program, Failure):
            continue
        problems = [
            f"{cls.kind.api_version}, Kind={cls.kind.name}: ERROR: <input>: {problem}\n | {expression}"
            for cls in kinds
            for problem in _problems(program.syntax, cls.schema())
        ]
        if problems:
            found.append(ExpressionWarning(field_ref=field, warning="\n".join(problems)))
    return tuple(found)


def _expressions(spec: ValidatingAdmissionPolicySpec) -> Iterator[tuple[str, str]]:
    for index, validation in enumerate(spec.validations):
        yield f"spec.validations[{index}].expression", validation.expression
        yield f"spec.validations[{index}].messageExpression", validation.message_expression


def _kinds(spec: ValidatingAdmissionPolicySpec) -> Iterator[type[Resource]]:
    """The kinds that the rules name; those that they only mean by `*` are not looked at."""
    rules: tuple[NamedRuleWithOperations, ...] = ()
    if spec.match_constraints is not None:
        rules = spec.match_constraints.resource_rules
    for rule in rules:
        for group in rule.api_groups:
            for version in rule.api_versions:
                for plural in rule.resources:
                    cls = kind_at(group, version, plural)
                    if cls is not None:
                        yield cls


def _problems(node: Node, schema: Schema) -> Iterator[str]:
    for child in children(node):
        yield from _problems(child, schema)
    if isinstance(node, Select):
        holder = _schema_of(node.operand, schema)
        if holder is not None and _has_known_fields(holder) and node.field not in holder.properties:
            yield f"undefined field '{node.field}'"
    if isinstance(node, Call) and node.function in _OPERATORS:
        types = [_type_of(each, schema) for each in node.arguments]
        if "dyn" not in types and len(set(types)) > 1:
            yield f"found no matching overload for '{node.function}' applied to '({', '.join(types)})'"


def _schema_of(node: Node, schema: Schema) -> Schema | None:
    """What the schema says about a path that begins at the object; None where it says nothing."""
    if isinstance(node, Ident):
        return schema if node.name in _OBJECTS else None
    if not isinstance(node, Select) or node.is_test:
        return None
    holder = _schema_of(node.operand, schema)
    if holder is None:
        return None
    return holder.properties.get(node.field) or holder.additional


def _has_known_fields(schema: Schema) -> bool:
    return bool(schema.properties) and schema.additional is None and not schema.preserve_unknown


def _type_of(node: Node, schema: Schema) -> str:
    if isinstance(node, Const):
        for type, name in ((bool, "bool"), (int, "int"), (str, "string")):
            if isinstance(node.value, type):
                return name
        return "dyn"
    found = _schema_of(node, schema)
    return "dyn" if found is None or found.int_or_string else _TYPES.get(found.type, "dyn")
