"""What a request waits for, part by part.

    with part("store"):
        entry = await store.put(key, value)

Every request that ends has a trace, at a microsecond or two. Nobody passes it on: it is found by the task that serves
the request. Kubernetes: utiltrace, component-base/tracing.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiserver.tracing.spans import Span

# So many parts of a request are kept: one with a thousand objects has thousands.
MOST_PARTS = 64


class Trace:
    """One request, and its parts in the order in which they ended: name, beginning, end (`time.perf_counter`)."""

    __slots__ = ("_token", "begun", "is_over", "parts", "span")

    def __init__(self, span: Span | None = None) -> None:
        self.begun, self.span, self.is_over = perf_counter(), span, False
        self.parts: list[tuple[str, float, float]] = []

    @property
    def trace(self) -> Trace:
        """Itself: it is a part of no other."""
        return self

    def __enter__(self) -> Trace:
        self._token = _within.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _within.reset(self._token)
        self.is_over = True

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return perf_counter() - self.begun


class Part:
    """Something that the request waits for; what it waits for meanwhile is within it."""

    __slots__ = ("_begun", "_name", "_token", "span", "trace")

    def __init__(self, within: Trace | Part, name: str) -> None:
        self.trace: Trace = within.trace
        self.span: Span | None = None
        self._name = name
        if within.span is not None:
            self.span = within.span.child(name)

    def __enter__(self) -> None:
        self._begun = perf_counter()
        # What is within what, only spans tell.
        if self.span is not None:
            self._token = _within.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if len(self.trace.parts) < MOST_PARTS:
            self.trace.parts.append((self._name, self._begun, perf_counter()))
        if self.span is not None:
            _within.reset(self._token)
            self.span.end(error)


class _Untraced:
    """Nobody asks what this waits for: no request does."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_UNTRACED = _Untraced()
_within: ContextVar[Trace | Part | None] = ContextVar("part of a request", default=None)


def part(name: str) -> Part | _Untraced:
    """What follows is a part of the request that is served here, if one is."""
    within = _within.get()
    # A task that a request has started may outlive it.
    if within is None or within.trace.is_over:
        return _UNTRACED
    return Part(within, name)


def propagated() -> dict[str, str]:
    """The headers by which another server knows of which trace its part is. W3C Trace Context."""
    within = _within.get()
    return within.span.headers if within is not None and within.span is not None else {}
