"""Lists that can be ordered, and texts that can be searched: `sum`, `min`, `max`, `indexOf`, `isSorted`, `find`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from wherry.machinery.cel.library.base import Function


def _sum(items: list[Any]) -> Any:
    from datetime import timedelta

    if items and isinstance(items[0], timedelta):
        return sum(items, timedelta())
    return sum(items)


def _least(items: list[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    return min(items)


def _most(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


def _index(items: list[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if item == wanted), -1)


def _last_index(items: list[Any], wanted: Any) -> int:
    return next((index for index in range(len(items) - 1, -1, -1) if items[index] == wanted), -1)


def _is_sorted(items: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(items))


FUNCTIONS = [
    Function("sum", "dyn", ("list<dyn>",), _sum),
    Function("min", "dyn", ("list<dyn>",), _least),
    Function("max", "dyn", ("list<dyn>",), _most),
    Function("isSorted", "bool", ("list<dyn>",), _is_sorted),
    Function("indexOf", "int", ("list<dyn>", "dyn"), _index),
    Function("lastIndexOf", "int", ("list<dyn>", "dyn"), _last_index),
]
