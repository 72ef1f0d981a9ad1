"""Views that read nothing of an object but its metadata: for controllers that are about all kinds at once.

Keeping a copy of every secret and config map whole, to know that it exists, would be a waste.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.machinery.resource import ALL_VERBS, Kind, Resource, all_kinds


@cache
def metadata_view(kind: Kind) -> type[Resource]:
    """A view class for objects of this kind; all metadata, no spec, no status."""
    metaclass: Any = type(Resource)
    view: type[Resource] = metaclass(f"{kind.name}Metadata", (Resource,), {"__module__": __name__})
    view.kind = kind
    return view


def custom_kind(definition: CustomResourceDefinition) -> Kind | None:
    """The kind that a definition declares, in the first version that is served; None while there is none."""
    spec, names = definition.spec, definition.status.accepted_names
    version = next((version.name for version in spec.versions if version.served), "")
    if not version or not definition.is_established:
        return None
    namespaced = spec.scope == "Namespaced"
    return Kind(spec.group, version, names.kind, spec.names.plural, namespaced, (), (), (), ALL_VERBS, is_custom=True)


def collectable_kinds() -> list[Kind]:
    """The kinds whose objects can be listed, watched and deleted; each once, although events are served by two groups.

    Events are left out: nobody owns them, they end by themselves, and there are many.
    """
    kinds = {
        (cls.kind.group, cls.kind.plural): cls.kind
        for cls in all_kinds()
        if {"list", "watch", "delete"} <= set(cls.kind.verbs) and cls.kind.plural != "events"
    }
    return list(kinds.values())
