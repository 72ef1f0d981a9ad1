"""Cells of `kubectl get` that need a clock, and columns that many kinds share.

    columns = (Column("Restarts", restarts), AGE)

A cell function is pure: where the text depends on the time of the request it returns a `Since`, which the API server
turns into text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from wherry.machinery.resource import Column
from wherry.machinery.time import age_text, time_text


class Since(NamedTuple):
    """How long ago something was; `shape` is the text around it, such as `3 ({} ago)`.

    Without an instant the text is `missing`, else `<unknown>`.
    """

    at: datetime | None
    shape: str = "{}"
    missing: str = "<unknown>"

    def text(self, now: datetime) -> str:
        """The cell at this moment."""
        return self.missing if self.at is None else self.shape.format(age_text(self.at, now))


def cell_value(cell: Any, now: datetime) -> Any:
    """What goes into the table: a `Since` becomes text, everything else is a JSON value already."""
    return cell.text(now) if isinstance(cell, Since) else cell


def _created(obj: Any) -> str:
    created = obj.metadata.created_at
    return time_text(created) if created else ""


AGE = Column("Age", lambda obj: Since(obj.metadata.created_at))
CREATED_AT = Column("Created At", _created, type="date")
"""The column of kinds for which Kubernetes has no printer."""


def label_text(labels: dict[str, str]) -> str:
    """Labels as `a=1,b=2`, sorted; `<none>` without any."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def joined(texts: Iterable[str], separator: str = ",") -> str:
    """The texts in a row; `<none>` without any."""
    return separator.join(texts) or "<none>"


def first_three(texts: Iterable[str]) -> str:
    """The texts in a row, cut after the third.

    >>> first_three("abcde")
    'a,b,c + 2 more...'
    """
    everything = list(texts)
    shown = ",".join(everything[:3])
    return f"{shown} + {len(everything) - 3} more..." if len(everything) > 3 else shown
