"""`quantity('1.5Gi')`: amounts that can be compared and added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wherry.machinery.cel.library.base import QUANTITY, Function, opaque
from wherry.machinery.quantity import MAX_INT64, NANOS, Quantity


def _read(text: str) -> Any:
    return _of(Quantity.parse(text).nanos)


def _of(nanos: int) -> Any:
    return opaque(QUANTITY, str(nanos))


def _nanos(value: Any) -> int:
    return int(value.text)


def _is_quantity(text: str) -> bool:
    try:
        Quantity.parse(text)
    except ValueError:
        return False
    return True


def _as_integer(value: Any) -> int:
    whole, rest = divmod(_nanos(value), NANOS)
    if rest or not -MAX_INT64 - 1 <= whole <= MAX_INT64:
        raise ValueError("cannot convert value to integer")
    return whole


def _is_integer(value: Any) -> bool:
    whole, rest = divmod(_nanos(value), NANOS)
    return not rest and -MAX_INT64 - 1 <= whole <= MAX_INT64


def _sign(nanos: int) -> int:
    return (nanos > 0) - (nanos < 0)


def _member(name: str, result: str, parameters: tuple[str, ...], call: Callable[..., Any]) -> Function:
    return Function(name, result, (QUANTITY, *parameters), call)


FUNCTIONS = [
    Function("quantity", QUANTITY, ("string",), _read, is_member=False),
    Function("isQuantity", "bool", ("string",), _is_quantity, is_member=False),
    _member("isInteger", "bool", (), _is_integer),
    _member("asInteger", "int", (), _as_integer),
    _member("asApproximateFloat", "double", (), lambda value: _nanos(value) / NANOS),
    _member("sign", "int", (), lambda value: _sign(_nanos(value))),
    _member("isGreaterThan", "bool", (QUANTITY,), lambda one, other: _nanos(one) > _nanos(other)),
    _member("isLessThan", "bool", (QUANTITY,), lambda one, other: _nanos(one) < _nanos(other)),
    _member("compareTo", "int", (QUANTITY,), lambda one, other: _sign(_nanos(one) - _nanos(other))),
    _member("add", QUANTITY, (QUANTITY,), lambda one, other: _of(_nanos(one) + _nanos(other))),
    _member("add", QUANTITY, ("int",), lambda one, other: _of(_nanos(one) + other * NANOS)),
    _member("sub", QUANTITY, (QUANTITY,), lambda one, other: _of(_nanos(one) - _nanos(other))),
    _member("sub", QUANTITY, ("int",), lambda one, other: _of(_nanos(one) - other * NANOS)),
]
