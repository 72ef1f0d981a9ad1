"""The variable `authorizer` in expressions: may this user, or that account, do something?

    authorizer.group("apps").resource("deployments").namespace("shop").check("create").allowed()

What was said so far travels as the text of an opaque value. Whom to ask is known only while a request is judged, so it
stands in a context variable. Kubernetes: apiserver/pkg/cel/library/authz.go.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from apiserver.access.rbac import Attributes as Wanted
from apiserver.access.rbac import Authorizer, Decision
from apiserver.request import User
from wherry.machinery.cel.library.base import (
    AUTHORIZER,
    DECISION,
    GROUP_CHECK,
    PATH_CHECK,
    RESOURCE_CHECK,
    Function,
    opaque,
)

# The authorizer, and the user whose request is judged.
ASKED: ContextVar[tuple[Authorizer, User]] = ContextVar("asked")


class _Said(msgspec.Struct, frozen=True):
    account: str = ""  # a service account as "namespace:name"; empty is the user of the request
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_allowed: bool = False
    reason: str = ""


_read = msgspec.json.Decoder(_Said).decode
_written = msgspec.json.Encoder().encode


def authorizer_value() -> Any:
    """`authorizer` as an expression finds it."""
    return _value(AUTHORIZER, _Said())


def request_resource_value(wanted: Wanted) -> Any:
    """`authorizer.requestResource`: what the request itself is about."""
    resource, _, subresource = wanted.resource.partition("/")
    return _value(RESOURCE_CHECK, _Said("", wanted.group, resource, subresource, wanted.namespace, wanted.name))


def _value(type: str, said: _Said) -> Any:
    return opaque(type, _written(said).decode())


def _said(value: Any) -> _Said:
    return _read(value.text)


def _with(result: str, field: str) -> Callable[[Any, str], Any]:
    def call(value: Any, text: str) -> Any:
        return _value(result, msgspec.structs.replace(_said(value), **{field: text}))

    return call


def _account(value: Any, namespace: str, name: str) -> Any:
    return _value(AUTHORIZER, msgspec.structs.replace(_said(value), account=f"{namespace}:{name}"))


def _check(value: Any, verb: str) -> Any:
    said = _said(value)
    authorizer, user = ASKED.get()
    if said.account:
        namespace = said.account.partition(":")[0]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        user = User(f"system:serviceaccount:{said.account}", groups)
    resource = f"{said.resource}/{said.subresource}" if said.subresource else said.resource
    wanted = Wanted(verb, said.group, resource, said.namespace, said.name)
    decided: Decision = authorizer.decide(user, Wanted(verb, path=said.path) if said.path else wanted)
    return _value(DECISION, _Said(is_allowed=decided.allowed, reason=decided.reason))


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
