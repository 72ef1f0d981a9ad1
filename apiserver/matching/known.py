"""What expressions know of one request: the values of their variables. Kubernetes: admission/plugin/cel/activation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apiserver.access.rbac import Attributes as Wanted
from apiserver.matching.attributes import Attributes
from apiserver.matching.reviewed import request_of
from apiserver.request import User
from wherry.machinery.cel import Program
from wherry.machinery.cel.library.authorizer import ANSWERS, Said, authorizer_value, resource_check_value
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server


class Known:
    """The variables of one request, seen as `cls`."""

    def __init__(self, server: Server, attributes: Attributes, cls: type[Resource]) -> None:
        self._server, self._attributes, self._cls = server, attributes, cls
        self._more: dict[str, Any] = {}

    def with_more(self, **more: Any) -> Known:
        """The same with more variables, or other values of some."""
        wider = Known(self._server, self._attributes, self._cls)
        wider._more = {**self.values, **more}
        return wider

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The values by name."""
        if self._more:
            return self._more
        attributes, cls = self._attributes, self._cls
        resource = attributes.resource
        asked = Said(
            group=resource.group,
            resource=resource.name,
            subresource=attributes.subresource,
            namespace=attributes.namespace,
            name=attributes.name,
        )
        return {
            "object": attributes.object_as(cls),
            "oldObject": attributes.old_as(cls),
            "request": request_of(attributes, cls),
            "params": None,
            "namespaceObject": None,
            "variables": {},
            "authorizer": authorizer_value(),
            "authorizer_requestResource": resource_check_value(asked),
        }

    def evaluate(self, program: Program) -> Any:
        """The result, or a `Failure`."""
        token = ANSWERS.set(self._answer)
        try:
            return program.evaluate(**self.values)
        finally:
            ANSWERS.reset(token)

    def _answer(self, said: Said) -> tuple[bool, str]:
        user = self._attributes.write.user
        if said.account:
            namespace = said.account.partition(":")[0]
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = User(f"system:serviceaccount:{said.account}", groups)
        resource = f"{said.resource}/{said.subresource}" if said.subresource else said.resource
        wanted = Wanted(said.verb, said.group, resource, said.namespace, said.name)
        if said.path:
            wanted = Wanted(said.verb, path=said.path)
        decision = self._server.authorizer.decide(user, wanted)
        return decision.allowed, decision.reason
