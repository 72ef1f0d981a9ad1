"""How verbs that list something show it: a table, a wide one, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["wide", "json"]),
    help="`wide` adds columns; `json` is for programs. [default: a table]",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines with columns as wide as what is in them, three spaces between."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def as_json(items: Sequence[Any], **more: Any) -> str:
    """A list of objects, and what goes with it, as a program reads it."""
    return json.dumps({"items": list(items), **more}, indent=2)
