"""Remembered: a property that is worked out when first read, and kept.

As `functools.cached_property`, but without the lock that it takes in Python 3.11: each pod has several, and a scheduler
thread of its own needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class remembered(Generic[T]):  # noqa: N801
    """Decorates a method without arguments; its class must not have `__slots__`."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out, self._name, self.__doc__ = work_out, "", work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: object, owner: type) -> T: ...

    def __get__(self, holder: object | None, owner: type) -> T | Self:
        if holder is None:
            return self
        value = holder.__dict__[self._name] = self._work_out(holder)
        return value
