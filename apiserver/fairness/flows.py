"""To which flow belongs what is done now, and lines in which the flows take turns."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")

# Of the request in whose task this is read; empty for those that have none, and for what the server does by itself.
FLOW: ContextVar[str] = ContextVar("flow", default="")


class Lines(Generic[T]):
    """One line for each flow. The flow whose turn it is comes first, and goes to the end when one of its own is taken.

    >>> lines = Lines[int]()
    >>> for flow, item in (("greedy", 1), ("greedy", 2), ("greedy", 3), ("modest", 4)):
    ...     lines.append(flow, item)
    >>> [lines.take() for _ in range(4)]
    [1, 4, 2, 3]
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __contains__(self, flow: str) -> bool:
        return flow in self._lines

    def append(self, flow: str, item: T) -> None:
        """To the end of the flow's line."""
        self._lines.setdefault(flow, deque()).append(item)

    def take(self) -> T:
        """The first of the flow whose turn it is; there must be one."""
        flow, line = next(iter(self._lines.items()))
        del self._lines[flow]
        item = line.popleft()
        if line:
            self._lines[flow] = line
        return item
