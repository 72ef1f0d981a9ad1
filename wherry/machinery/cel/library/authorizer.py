"""The variable `authorizer`: may this user, or that account, do something?

    authorizer.group("apps").resource("deployments").namespace("shop").check("create").allowed()

What was said so far travels as the text of an opaque value. Whom to ask is known only while a request is judged, so it
stands in a context variable. Kubernetes: apiserver/pkg/cel/library/authz.go. Selectors of fields and labels are not
known.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from wherry.machinery.cel.library.base import (
    AUTHORIZER,
    DECISION,
    GROUP_CHECK,
    PATH_CHECK,
    RESOURCE_CHECK,
    Function,
    opaque,
)


class Said(msgspec.Struct, frozen=True):
    """A question as far as it was put, or its answer. `account` is `namespace:name`; empty is the request's user."""

    account: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    verb: str = ""
    is_allowed: bool = False
    reason: str = ""


# Who answers: whether what was said is allowed, and why.
ANSWERS: ContextVar[Callable[[Said], tuple[bool, str]]] = ContextVar("answers")

_read = msgspec.json.Decoder(Said).decode
_written = msgspec.json.Encoder().encode


def authorizer_value() -> Any:
    """`authorizer` as an expression finds it."""
    return _value(AUTHORIZER, Said())


def resource_check_value(said: Said) -> Any:
    """`authorizer.requestResource`: what the request itself is about."""
    return _value(RESOURCE_CHECK, said)


def _value(type: str, said: Said) -> Any:
    return opaque(type, _written(said).decode())


def _said(value: Any) -> Said:
    return _read(value.text)


def _with(result: str, field: str) -> Callable[[Any, str], Any]:
    def call(value: Any, text: str) -> Any:
        return _value(result, msgspec.structs.replace(_said(value), **{field: text}))

    return call


def _account(value: Any, namespace: str, name: str) -> Any:
    return _value(AUTHORIZER, msgspec.structs.replace(_said(value), account=f"{namespace}:{name}"))


def _check(value: Any, verb: str) -> Any:
    is_allowed, reason = ANSWERS.get()(msgspec.structs.replace(_said(value), verb=verb))
    return _value(DECISION, Said(is_allowed=is_allowed, reason=reason))


FUNCTIONS = (
    Function("path", PATH_CHECK, (AUTHORIZER, "string"), _with(PATH_CHECK, "path")),
    Function("group", GROUP_CHECK, (AUTHORIZER, "string"), _with(GROUP_CHECK, "group")),
    Function("serviceAccount", AUTHORIZER, (AUTHORIZER, "string", "string"), _account),
    Function("resource", RESOURCE_CHECK, (GROUP_CHECK, "string"), _with(RESOURCE_CHECK, "resource")),
    *(
        Function(field, RESOURCE_CHECK, (RESOURCE_CHECK, "string"), _with(RESOURCE_CHECK, field))
        for field in ("subresource", "namespace", "name")
    ),
    Function("check", DECISION, (PATH_CHECK, "string"), _check),
    Function("check", DECISION, (RESOURCE_CHECK, "string"), _check),
    Function("allowed", "bool", (DECISION,), lambda decided: _said(decided).is_allowed),
    Function("reason", "string", (DECISION,), lambda decided: _said(decided).reason),
    Function("errored", "bool", (DECISION,), lambda decided: False),
    Function("error", "string", (DECISION,), lambda decided: ""),
)
