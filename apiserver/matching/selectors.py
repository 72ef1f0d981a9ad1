"""Selectors by the labels of an object and of its namespace. Kubernetes: the predicates `object` and `namespace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.matching.attributes import Attributes, Draft
from wherry.api.core.namespace import Namespace
from wherry.api.meta import Selector
from wherry.machinery.errors import not_found

if TYPE_CHECKING:
    from apiserver.server import Server

Labels = dict[str, str]


def selects_object(selector: Selector | None, attributes: Attributes) -> bool:
    """Whether the object as it is or as it was is selected; one without labels is not, if anything is asked."""
    if selector is None or selector.is_empty:
        return True
    cls = attributes.write.cls
    seen = (attributes.object_as(cls), attributes.old_as(cls))
    return any(draft is not None and "metadata" in draft and selector.matches(_labels(draft)) for draft in seen)


async def selects_namespace(server: Server, selector: Selector | None, attributes: Attributes) -> bool:
    """Whether the object's namespace is selected; what has none always is. Raises NotFound."""
    if selector is None or selector.is_empty:
        return True
    kind = attributes.write.cls.kind
    if kind.resource == "namespaces" and attributes.operation in ("CREATE", "UPDATE") and not attributes.subresource:
        return selector.matches(_labels(attributes.object_as(attributes.write.cls) or {}))
    if not attributes.namespace:
        return True
    return selector.matches(_labels(await namespace_of(server, attributes)))


async def namespace_of(server: Server, attributes: Attributes) -> Draft:
    """The namespace of what is written; raises NotFound."""
    cache = server.cache.of(Namespace)
    stored = cache.get("", attributes.namespace)
    if stored is None:
        await server.cache.fresh()  # it may have been created a moment ago
        stored = cache.get("", attributes.namespace)
    if stored is None:
        raise not_found("namespaces", attributes.namespace)
    return stored.draft(Namespace.kind)


def _labels(draft: Draft) -> Labels:
    return (draft.get("metadata") or {}).get("labels") or {}
