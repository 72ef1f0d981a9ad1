"""Expressions of webhooks and policies: which variables they may name, and what they must give.

`authorizer.requestResource` reads like a field, which values of ours have none of: it is a variable of its own.
`Object{...}` and `JSONPatch{...}` of mutating policies become maps, since objects of every kind are maps here.

Kubernetes: apiserver/pkg/admission/plugin/cel. Differs: policies with parameters and those without know the same
variables; where there are no parameters, `params` is null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from wherry.machinery.cel import Environment, Failure, Program
from wherry.machinery.cel.library.authorizer import FUNCTIONS
from wherry.machinery.cel.library.base import AUTHORIZER, RESOURCE_CHECK, Function
from wherry.machinery.field_errors import FieldError, invalid, too_many
from wherry.machinery.validation import Check, each

T = TypeVar("T")

# In one list of a policy, or in all webhooks of a configuration together: to compile one takes half a millisecond.
MOST_EXPRESSIONS = 500

_REQUEST_RESOURCE = re.compile(r"\bauthorizer\s*\.\s*requestResource\b")
# What is no name of a field: strings, in which nothing is replaced, and literals with a type.
_STRING = r"""[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_TOKEN = re.compile(
    rf"(?P<string>{_STRING})|(?P<literal>\b(?:Object(?:\s*\.\s*\w+)*|JSONPatch)\s*\{{)|(?P<open>[{{(\[])|(?P<close>[}})\]])"
    r"|(?P<comma>,)|(?P<name>\b[A-Za-z_]\w*\b)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)


def _escaped(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


ENVIRONMENT = Environment(
    (*FUNCTIONS, Function("jsonpatch.escapeKey", "string", ("string",), _escaped, is_member=False)),
    object="dyn",
    oldObject="dyn",
    request="dyn",
    params="dyn",
    namespaceObject="dyn",
    variables="dyn",
    authorizer=AUTHORIZER,
    authorizer_requestResource=RESOURCE_CHECK,
)


def compiled(expression: str) -> Program | Failure:
    """The program of an expression."""
    return ENVIRONMENT.compile(_REQUEST_RESOURCE.sub("authorizer_requestResource", expression))


def compiled_mutation(expression: str) -> Program | Failure:
    """The program of an expression that may hold `Object{...}` and `JSONPatch{...}`."""
    return compiled(as_maps(expression))


def as_maps(expression: str) -> str:
    """The expression with maps instead of typed literals.

    >>> as_maps('Object{spec: Object.spec{replicas: 3}}')
    '{"spec": {"replicas": 3}}'
    """
    written: list[str] = []
    inside: list[bool] = []  # for each bracket that is open: whether it is a typed literal
    expects_field = False
    for token in _TOKEN.finditer(expression):
        kind, text = token.lastgroup, token[0]
        if kind == "literal":
            inside.append(True)
            text = "{"
        elif kind == "open":
            inside.append(False)
        elif kind == "close" and inside:
            inside.pop()
        elif kind == "name" and expects_field:
            text = f'"{text}"'
        if kind != "space" and text != "?":
            expects_field = kind == "literal" or (kind == "comma" and bool(inside) and inside[-1])
        written.append(text)
    return "".join(written)


def each_of_few(path: str, items: Sequence[T], check: Check[T], old: Sequence[T] = ()) -> Iterator[FieldError]:
    """The errors of every item of a list of expressions, if there are few enough to compile.

    A longer list that was accepted before, `old`, may stay as it is.
    """
    if len(items) <= MOST_EXPRESSIONS:
        yield from each(path, items, check)
    elif items != old:
        yield too_many(path, len(items), MOST_EXPRESSIONS)


def check_expression(field: str, expression: str, *types: str, is_mutation: bool = False) -> Iterator[FieldError]:
    """The expression compiles and gives one of these types; none means any. Of some only a request shows the type."""
    if not expression.strip():
        return
    program = compiled_mutation(expression) if is_mutation else compiled(expression)
    if isinstance(program, Failure):
        yield invalid(field, expression, program.message)
    elif types and program.result_type not in (*types, "dyn"):
        wanted = types[0] if len(types) == 1 else f"one of [{' '.join(types)}]"
        yield invalid(field, expression, f"must evaluate to {wanted}")
