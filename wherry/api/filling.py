"""Defaults for fields in which an empty value means the same as none.

In Go such a field is a plain value rather than a pointer, so `timeoutSeconds: 0` and a missing one cannot be told
apart, and both get the default. Where an explicit zero counts, `defaults.literal` is the right one.
"""

from __future__ import annotations

from typing import Any

from wherry.machinery.schema import defaults


def fill_empty(definition: str, **values: str | int) -> None:
    """Fill these fields of a definition where they are absent, 0 or empty."""

    def fill(draft: dict[str, Any]) -> None:
        for field, value in values.items():
            if not draft.get(field):
                draft[field] = value

    defaults(definition)(fill)
