"""The columns of custom kinds. Kubernetes: apiextensions `tableconvertor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from wherry.api.extensions.definition_views import PrinterColumn, Version
from wherry.machinery import jsonpath
from wherry.machinery.resource import Column
from wherry.machinery.table_cells import Since
from wherry.machinery.time import parse_time

_AGE = PrinterColumn(name="Age", type="date", json_path=".metadata.creationTimestamp")


def columns_of_version(version: Version) -> tuple[Column, ...]:
    """What `kubectl get` shows after the name: the age, where the definition names no columns."""
    return tuple(_column(each) for each in version.additional_printer_columns or (_AGE,))


def _column(column: PrinterColumn) -> Column:
    description = column.description or f"Custom resource definition column (in JSONPath format): {column.json_path}"
    if column is _AGE:
        description = "CreationTimestamp is a timestamp representing the server time when this object was created."
    cell = _cell(jsonpath.parse(column.json_path), column.type)
    return Column(column.name, cell, column.type, column.priority, column.format, description)


def _cell(path: jsonpath.Path, type: str) -> Callable[[Any], Any]:
    def cell(obj: Any) -> Any:
        found = list(jsonpath.find(path, obj.raw))
        if not found:
            return None
        return " ".join(map(_text, found)) if type == "string" else _typed(found[0], type)

    return cell


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "<nil>" if value is None else orjson.dumps(value).decode()


def _typed(value: Any, type: str) -> Any:
    match type, value:
        case "integer", bool():
            return None
        case "integer", int() | float():
            return int(value)
        case "number", int() | float() if not isinstance(value, bool):
            return float(value)
        case "boolean", bool():
            return value
        case "date", str():
            try:
                return Since(parse_time(value))
            except ValueError:
                return "<invalid>"
    return None
