"""Values without children: how Kubernetes reads and rewrites a quantity, a time, bytes, a number.

Each function takes a JSON value and returns it in canonical form; it raises `Unreadable` with Go's words for the
problem, because those are the words that users see.

Differs: Go names the field's own type (`v1.RestartPolicy`) where the published schema, and so Wherry, only knows
`string`.
"""

from __future__ import annotations

import binascii
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from wherry.machinery.quantity import canonical
from wherry.machinery.time import micro_time_text, parse_time, time_text

INT32, INT64 = 2**31, 2**63
BOUNDS = {"int32": INT32, "int64": INT64, "": INT64}

_SECONDS = "2006-01-02T15:04:05Z07:00"
_MICROSECONDS = "2006-01-02T15:04:05.000000Z07:00"
_SIX_DIGITS = re.compile(r"\.\d{6}(?!\d)", re.ASCII)
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


class Unreadable(ValueError):
    """The value cannot be read as its type; the text is Go's."""


def json_type(value: Any) -> str:
    """What Go's decoder calls this JSON value."""
    match value:
        case str():
            return "string"
        case bool():
            return "bool"
        case None:
            return "null"
        case dict():
            return "object"
        case list():
            return "array"
    return "number"


def quantity(value: Any) -> str:
    """
    >>> quantity("1024Mi"), quantity(0.5)
    ('1Gi', '500m')
    """
    try:
        return canonical(value)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def int_or_string(value: Any) -> str | int:
    """
    >>> int_or_string(80), int_or_string("25%")
    (80, '25%')
    """
    if isinstance(value, str):
        return value
    if type(value) is int and -INT32 <= value < INT32:
        return value
    seen = f"number {value}" if json_type(value) == "number" else json_type(value)
    raise Unreadable(f"json: cannot unmarshal {seen} into Go value of type int32")


def base64_text(value: str) -> str:
    """The same bytes, encoded without line breaks.

    >>> base64_text("YWJj\\nZA==")
    'YWJjZA=='
    """
    text = value.replace("\r", "").replace("\n", "")
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Unreadable(f"illegal base64 data at input byte {_first_illegal(text)}") from None
    return text


def _first_illegal(text: str) -> int:
    found = _NOT_BASE64.search(text)
    return found.start() if found else len(text) // 4 * 4


def time(value: Any) -> str:
    """A `metav1.Time`: RFC 3339 in UTC, whole seconds.

    >>> time("2026-11-22T18:57:38.9+01:00")
    '2026-11-22T17:57:38Z'
    """
    return _time_text(_instant(value, _SECONDS))


def micro_time(value: Any) -> str:
    """A `metav1.MicroTime`: RFC 3339 in UTC, exactly six digits after the second.

    >>> micro_time("2026-11-22T17:57:38.000120Z")
    '2026-11-22T17:57:38.000120Z'
    """
    if isinstance(value, str) and not _SIX_DIGITS.search(value):
        raise _no_time(value, _MICROSECONDS)
    return micro_time_text(_instant(value, _MICROSECONDS))


# One object says the same times again with every write.
_time_text = lru_cache(maxsize=4096)(time_text)


def _instant(value: Any, layout: str) -> datetime:
    if not isinstance(value, str):
        raise Unreadable(f"json: cannot unmarshal {json_type(value)} into Go value of type string")
    try:
        return parse_time(value)
    except ValueError:
        raise _no_time(value, layout) from None


def _no_time(text: str, layout: str) -> Unreadable:
    shown = text[:64]
    return Unreadable(f'parsing time "{shown}" as "{layout}": cannot parse "{shown}" as "2006"')
