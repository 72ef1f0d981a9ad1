"""The policies and bindings in force, compiled once for each state of them, and which concern a write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from apiserver.matching.attributes import Attributes
from apiserver.matching.rules import is_exempt, matched
from apiserver.matching.selectors import selects_namespace, selects_object
from apiserver.policies.compiled import Policy
from apiserver.request import SERVER_ITSELF
from wherry.api.admission.matching import MatchResources
from wherry.api.admission.policies import BindingSpec
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server


class Bound(NamedTuple):
    """A policy where a binding puts it in force, and the kind in whose form it sees the object."""

    policy: Policy
    binding: str
    spec: BindingSpec
    cls: type[Resource]


class Catalog:
    """Policies of one kind and their bindings, in the order of their names."""

    def __init__(self, server: Server, policy: Any, binding: Any) -> None:
        self._server, self._policy, self._binding = server, policy, binding
        self._policies, self._bindings = server.cache.of(policy), server.cache.of(binding)
        self._seen = (-1, -1)
        self._in_force: list[tuple[Policy, list[tuple[str, Any]]]] = []

    def in_force(self) -> list[tuple[Policy, list[tuple[str, Any]]]]:
        """Every policy that has bindings, with them."""
        seen = (self._policies.revision, self._bindings.revision)
        if seen != self._seen:
            self._seen = seen
            bindings: dict[str, list[tuple[str, Any]]] = {}
            for stored in self._bindings.objects():
                spec = self._binding.read(stored.item).spec
                bindings.setdefault(spec.policy_name, []).append((stored.name, spec))
            self._in_force = [
                (Policy(stored.name, self._policy.read(stored.item).spec), bindings[stored.name])
                for stored in self._policies.objects()
                if stored.name in bindings
            ]
        return self._in_force

    async def concerned(self, attributes: Attributes) -> AsyncIterator[Bound]:
        """What is in force for a write. The server's own writes are subject to none."""
        if attributes.write.user is SERVER_ITSELF or is_exempt(attributes):
            return
        for policy, bindings in self.in_force():
            constraints = policy.spec.match_constraints
            cls = await self._matches(constraints, attributes) if constraints is not None else None
            if cls is None:
                continue
            for name, spec in bindings:
                if spec.match_resources is None or await self._matches(spec.match_resources, attributes) is not None:
                    yield Bound(policy, name, spec, cls)

    async def _matches(self, match: MatchResources, attributes: Attributes) -> type[Resource] | None:
        """As which kind the request is meant; None if it is not."""
        is_exact = match.match_policy == "Exact"
        if matched(match.exclude_resource_rules, attributes, exact=is_exact) is not None:
            return None
        cls: type[Resource] | None = attributes.write.cls
        if match.resource_rules:
            cls = matched(match.resource_rules, attributes, exact=is_exact)
        if cls is None or not selects_object(match.object_selector, attributes):
            return None
        return cls if await selects_namespace(self._server, match.namespace_selector, attributes) else None
