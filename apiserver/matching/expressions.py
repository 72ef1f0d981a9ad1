"""Expressions of webhooks and policies: what they may name, and their values for one request.

`authorizer.requestResource` reads like a field, which values of ours have none of; it is made a variable of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apiserver.access.rbac import Attributes as Wanted
from apiserver.matching.attributes import Attributes
from apiserver.matching.authorizer_calls import ASKED, FUNCTIONS, authorizer_value, request_resource_value
from apiserver.matching.reviewed import request_of
from wherry.machinery.cel import Environment, Failure, Program
from wherry.machinery.cel.library.base import AUTHORIZER, RESOURCE_CHECK
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

_REQUEST_RESOURCE = re.compile(r"\bauthorizer\s*\.\s*requestResource\b")
_VERBS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete", "CONNECT": "create"}

ENVIRONMENT = Environment(
    FUNCTIONS,
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


class Known:
    """What expressions know of one request, seen as `cls`."""

    def __init__(self, server: Server, attributes: Attributes, cls: type[Resource], **more: Any) -> None:
        self._server, self._attributes, self._cls, self._more = server, attributes, cls, more

    def with_more(self, **more: Any) -> Known:
        """The same with more variables."""
        wider = Known(self._server, self._attributes, self._cls, **self._more, **more)
        wider.values = {**self.values, **more}
        return wider

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The values by name."""
        attributes, cls = self._attributes, self._cls
        nothing: dict[str, Any] = {"params": None, "namespaceObject": None, "variables": {}}
        resource = attributes.resource
        named = f"{resource.name}/{attributes.subresource}" if attributes.subresource else resource.name
        verb = _VERBS[attributes.operation]
        wanted = Wanted(verb, resource.group, named, attributes.namespace, attributes.name)
        return {
            **nothing,
            "object": attributes.object_as(cls),
            "oldObject": attributes.old_as(cls),
            "request": request_of(attributes, cls),
            "authorizer": authorizer_value(),
            "authorizer_requestResource": request_resource_value(wanted),
            **self._more,
        }

    def evaluate(self, program: Program) -> Any:
        """The result, or a `Failure`."""
        token = ASKED.set((self._server.authorizer, self._attributes.write.user))
        try:
            return program.evaluate(**self.values)
        finally:
            ASKED.reset(token)
