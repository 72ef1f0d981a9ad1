"""ControllerRevision: one remembered version of a StatefulSet's or DaemonSet's template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.machinery.field_errors import FieldError, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import non_negative, unchanged


def _controller(revision: ControllerRevision) -> str:
    owner = revision.metadata.controller
    if owner is None:
        return "<none>"
    group, _, _ = owner.api_version.rpartition("/")
    return f"{owner.kind.lower()}.{group}/{owner.name}" if group else f"{owner.kind.lower()}/{owner.name}"


class ControllerRevision(Resource, group="apps", version="v1"):
    """One remembered version; `data` is a patch that brings it back."""

    revision: int = 0
    # Any JSON, though in practice an object.
    data: Any = None

    columns = (
        Column("Controller", _controller),
        Column("Revision", lambda revision: revision.revision),
        AGE,
    )

    def validate(self, old: ControllerRevision | None) -> Iterator[FieldError]:
        """Every broken rule; what was remembered stays as it was."""
        if self.data is None:
            yield required("data", "data is mandatory")
        yield from non_negative("revision", self.revision)
        if old is not None:
            yield from unchanged("data", self.data, old.data)
