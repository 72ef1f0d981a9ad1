"""Tables: what `kubectl get` prints, made on the server from each kind's columns. Kubernetes: printers and
metav1.Table.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from apiserver.reading.negotiation import Representation
from apiserver.reading.stored import head_of, metadata_of
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import CREATED_AT, cell_value


# Custom kinds come and go.
@lru_cache(maxsize=1024)
def columns_of(cls: type[Resource]) -> tuple[Column, ...]:
    """The columns of a kind, with its name where it belongs."""
    own = cls.columns or (CREATED_AT,)
    if not cls.name_column:
        return own
    name = getattr(cls, "name_cell", None) or (lambda obj: obj.metadata.name)
    return (Column("Name", name, type="string"), *own)


@lru_cache(maxsize=1024)
def table_columns(cls: type[Resource]) -> list[dict[str, Any]]:
    """The columnDefinitions of a kind."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": "name" if column.name == "Name" else column.format,
            "description": column.description or f"{column.name} of the {cls.kind.name}",
            "priority": column.priority,
        }
        for column in columns_of(cls)
    ]


def partial(item: bytes, representation: Representation) -> bytes:
    """A PartialObjectMetadata made of an object's JSON."""
    version = representation.api_version.encode()
    return b'{"kind":"PartialObjectMetadata","apiVersion":"%s","metadata":%s}' % (version, metadata_of(item))


def table_rows(
    cls: type[Resource], items: Iterable[bytes], representation: Representation, now: datetime, include: str
) -> list[dict[str, Any]]:
    """One row per object; `include` says how much of the object rides along."""
    columns = columns_of(cls)
    rows = []
    for item in items:
        view = cls.read(item)
        row: dict[str, Any] = {"cells": [cell_value(column.cell(view), now) for column in columns]}
        conditions = view.row_conditions()
        if conditions:
            row["conditions"] = conditions
        if include != "None":
            row["object"] = _carried(cls, item, representation, whole=include == "Object")
        rows.append(row)
    return rows


def _carried(cls: type[Resource], item: bytes, representation: Representation, *, whole: bool) -> Any:
    if whole:
        is_item = item.startswith(b'{"metadata"')
        return orjson.Fragment(head_of(cls.kind)[:-12] + item[1:] if is_item else item)
    return orjson.Fragment(partial(item, representation))
