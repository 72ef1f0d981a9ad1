"""Parameters of a policy: the objects that a binding names or selects. Kubernetes: generic.CollectParams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver.matching.attributes import Attributes
from apiserver.policies.catalog import Bound
from apiserver.reading.conversion import to_client
from wherry.api.admission.policies import ParamKind
from wherry.machinery.resource import Resource, kind_named

if TYPE_CHECKING:
    from apiserver.reading.stored import Stored
    from apiserver.server import Server

Draft = dict[str, Any]


class Misconfigured(Exception):
    """Why there are no parameters; what that means is the failure policy's to say."""


async def params_of(server: Server, bound: Bound, attributes: Attributes) -> list[Draft | None]:
    """Every object with which the policy is evaluated; raises Misconfigured. A policy without any is evaluated once."""
    kind, reference = bound.policy.spec.param_kind, bound.spec.param_ref
    if kind is None or reference is None:
        return [None]
    cls = _kind(server, kind)
    if cls is None:
        raise Misconfigured(f"paramKind kind `{kind.api_version}, Kind={kind.kind}` not known")
    namespace = ""
    if cls.kind.namespaced:
        namespace = reference.namespace or attributes.namespace
        if not namespace:
            raise Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif reference.namespace:
        raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    cache = server.cache.of(cls)
    found: list[Stored]
    if reference.name:
        stored = cache.get(namespace, reference.name)
        if stored is None:
            await server.cache.fresh()  # it may have been created a moment ago
            stored = cache.get(namespace, reference.name)
        found = [stored] if stored else []
    else:
        selector = reference.selector
        found = [each for each in cache.objects(namespace) if selector is not None and selector.matches(each.labels)]
    if not found and reference.parameter_not_found_action != "Allow":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return [_seen(each, cls) for each in found]


def _kind(server: Server, wanted: ParamKind) -> type[Resource] | None:
    custom = (
        cls
        for cls in server.custom.served
        if (cls.kind.api_version, cls.kind.name) == (wanted.api_version, wanted.kind)
    )
    return kind_named(wanted.api_version, wanted.kind) or next(custom, None)


def _seen(stored: Stored, cls: type[Resource]) -> Draft:
    return to_client(stored.draft(cls.kind), cls)
