"""Which protobuf messages Kubernetes has: number, JSON name and type of each field.

The facts are in `fields.txt`, written by `scripts/pack_protobuf_fields.py`. `package apps apps/v1` begins the
messages of an API group version; each further line is a message and its fields, `name:number=type`:

    int string bytes bool double json      a plain value; `json` is text to embed as it is
    apps.DeploymentSpec                    a message
    [type] {type}                          a list, a map with string keys
    type?                                  a pointer: there is a difference between zero and absent
    type!                                  written as JSON even when it is zero
    :2=type                                an embedded struct: its fields stand in this message

Package `value` holds the messages that are not objects in JSON: times, quantities and the like. The messages are
those of Kubernetes 1.36 and the plain fields that 1.37 added to them. Differs: what 1.37 adds behind alpha gates in new
messages is skipped like any unknown field, and missing in answers.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from importlib import resources
from typing import NamedTuple

_FIELD = re.compile(r"([^:]*):(\d+)=([\[{]?)([\w.]+)[\]}]?(\??)(!?)")


class Shape(Enum):
    """How often a field's type occurs in it."""

    ONE = ""
    LIST = "["
    MAP = "{"


class Field(NamedTuple):
    """A field; `type` is the name of a message or of a plain type. Embedded structs have no name."""

    name: str
    type: str
    shape: Shape
    keeps_zero: bool


Fields = dict[int, Field]


@cache
def message(name: str) -> Fields | None:
    """The fields, by number, of a message such as `apps.Deployment`; None if there is no such message."""
    line = _index()[0].get(name)
    return None if line is None else dict(_field(text) for text in line.split())


def package(api_version: str) -> str | None:
    """The package of `apps/v1` is `apps`."""
    return _index()[1].get(api_version)


def message_names() -> list[str]:
    """Every message, as `package.Name`."""
    return list(_index()[0])


@cache
def _index() -> tuple[dict[str, str], dict[str, str]]:
    """The lines of the table by message and the packages by apiVersion; lines are parsed when they are needed."""
    lines: dict[str, str] = {}
    packages: dict[str, str] = {}
    current = ""
    for line in resources.files(__package__).joinpath("fields.txt").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if first == "package":
            current, _, api_version = rest.partition(" ")
            packages[api_version] = current
        else:
            lines[f"{current}.{first}"] = rest
    return lines, packages


def _field(text: str) -> tuple[int, Field]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise ValueError(f"fields.txt: {text!r} is not a field")
    return int(found[2]), Field(found[1], found[4], Shape(found[3]), bool(found[5] or found[6]))
