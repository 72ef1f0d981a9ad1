"""A write, or a connection, as webhooks and policies see it. Kubernetes: admission.Attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from apiserver.reading.conversion import stored_class, to_client, to_stored
from wherry.machinery.resource import Resource, all_kinds

if TYPE_CHECKING:
    from apiserver.writing.rest import Write

Draft = dict[str, Any]


class Names(NamedTuple):
    """Group, version, and the name of a kind or of a resource."""

    group: str
    version: str
    name: str


class Facet(NamedTuple):
    """What is seen of a write through a subresource with an object of its own: its Scale, its Binding, its options.

    `of` makes that object from the whole one, `into` writes it back.
    """

    subresource: str
    operation: str
    kind: Names
    of: Callable[[Draft], Draft]
    into: Callable[[Draft, Draft], None]


class Attributes:
    """One write. `draft` may change while it is looked at; `old` never does. `custom` are the custom kinds served."""

    def __init__(self, draft: Draft, old: Draft | None, write: Write, custom: Sequence[type[Resource]] = ()) -> None:
        self.write, self._custom = write, custom
        self._draft, self._old = draft, old
        self.facet = write.facet
        self.operation = self.facet.operation if self.facet else write.operation
        self.subresource = self.facet.subresource if self.facet else write.subresource
        self.name, self.namespace = write.name, write.namespace
        if write.cls.kind.resource == "namespaces":
            self.namespace = write.name or draft["metadata"].get("name", "")

    @property
    def resource(self) -> Names:
        """What the request was for."""
        return resource_of(self.write.cls)

    def kind_as(self, cls: type[Resource]) -> Names:
        """The kind of the object, if the resource is seen as `cls`."""
        return self.facet.kind if self.facet else Names(cls.kind.group, cls.kind.version, cls.kind.name)

    def object_as(self, cls: type[Resource]) -> Draft | None:
        """The object as it is to be; None for a deletion."""
        if self.operation == "DELETE":
            return None
        return self.facet.of(self._draft) if self.facet else to_client(self._draft, cls)

    def old_as(self, cls: type[Resource]) -> Draft | None:
        """The object as it was; None where there was none."""
        if self._old is None or self.operation in ("CREATE", "CONNECT"):
            return None
        return self.facet.of(self._old) if self.facet else to_client(self._old, cls)

    def take(self, changed: Draft, cls: type[Resource]) -> None:
        """Make the object, seen as `cls`, this one."""
        if self.facet:
            self.facet.into(self._draft, changed)
            return
        stored = to_stored(changed, cls)
        self._draft.clear()
        self._draft.update(stored)

    def equivalents(self) -> list[type[Resource]]:
        """The other kinds in which the same objects can be seen: other versions, other groups."""
        own = self.write.cls
        stored = stored_class(own)
        known = self._custom if own.kind.is_custom else all_kinds()
        return [each for each in known if each is not own and each.kind.verbs and stored_class(each) is stored]

    def snapshot(self) -> bytes:
        """The object in bytes, to see whether somebody changes it."""
        return orjson.dumps(self._draft)


def resource_of(cls: type[Resource]) -> Names:
    """Group, version and plural name of a kind."""
    return Names(cls.kind.group, cls.kind.version, cls.kind.plural)
