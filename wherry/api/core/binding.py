"""Binding: a pod gets its node, the body of `pods/NAME/binding`."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.meta import ObjectReference
from wherry.machinery.field_errors import FieldError, not_supported, required
from wherry.machinery.resource import Resource


class Binding(Resource, version="v1", verbs=("create",)):
    """The pod of this name goes to the node `target`."""

    target: ObjectReference = ObjectReference()

    def validate(self, old: Binding | None) -> Iterator[FieldError]:
        """Every broken rule of a binding."""
        if self.target.kind not in ("", "Node"):
            yield not_supported("target.kind", self.target.kind, ("Node", "<empty>"))
        if not self.target.name:
            yield required("target.name")
