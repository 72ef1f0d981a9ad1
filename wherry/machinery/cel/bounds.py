"""What an evaluation can take at most, judged from the syntax tree before it runs.

The engine itself ends loops after `MAX_STEPS`, but one step may copy a megabyte, and twenty bindings that each double
a text end no loop at all. `Bounds` walks the tree once with the sizes of the inputs and adds up characters and items:
`work` is what is looked at, `memory` what is made.

Kubernetes: the cost estimator of cel-go, with which it shares the way of thinking but not the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wherry.machinery.cel.syntax import Call, Collection, Const, Fold, Ident, Node, Select

# The engine's own budget of loop steps for one evaluation.
MAX_STEPS = 10_000
# In units: a unit of work is a tenth of a microsecond, a unit of memory a byte. Both are far beyond honest rules.
MAX_WORK = 5_000_000
MAX_MEMORY = 128 * 1024 * 1024
# Kubernetes: no request is longer.
LONGEST_INPUT = 3 * 1024 * 1024

# Reading in the engine's own code costs far less for each character than a call into ours.
_NATIVE = 0.005
_GROWING = {"_+_", "reverse", "quote", "base64.encode", "base64.decode", "string", "bytes", "trim", "lowerAscii"}
_GROWING |= {"upperAscii", "substring", "split", "find", "findAll", "transformList", "sort", "distinct"}
# What gives one of its arguments, an element of one, and what looks at all that stands in them.
_SAME = {"_?_:_", "orValue", "or", "dyn", "value", "optional.of", "optional.ofNonZeroValue"}
_ELEMENT = {"_[_]", "_[?_]", "_?._", "first", "last", "min", "max"}
_DEEP = {"_==_", "_!=_", "@in", "format", "join", "sum", "min", "max", "indexOf", "lastIndexOf", "isSorted"}
_DEEP |= {"sets.contains", "sets.equivalent", "sets.intersects"}
_ITEM_BYTES = 16


class Size(NamedTuple):
    """How large inputs are: the longest text or list among them, and everything together."""

    longest: int
    total: int


UNIT = Size(1, 1)
LARGEST = Size(LONGEST_INPUT, LONGEST_INPUT)


def measure(value: Any) -> Size:
    """The size of a JSON value."""
    longest = total = 0
    level = [value]
    while level:
        node = level.pop()
        length = len(node) if isinstance(node, str | bytes | list | dict) else 1
        longest, total = max(longest, length), total + length
        if isinstance(node, dict):
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)
    return Size(longest, total)


class Extent(NamedTuple):
    """How long a value is, and how long what stands in it can be."""

    length: float
    inner: float = 1


ONE = Extent(1)


@dataclass(slots=True)
class Bounds:
    """The running sum. `python` names the functions that are called in Python."""

    inputs: Size
    python: frozenset[str]
    most_work: float = MAX_WORK
    # What is known of a place in the inputs, such as `self.names`; None leaves it to `inputs`.
    place: Callable[[Node], Extent | None] = lambda node: None
    work: float = 0
    memory: float = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether it may take too much."""
        return self.work > self.most_work or self.memory > MAX_MEMORY

    def of(self, node: Node, known: Mapping[str, Extent], times: float = 1) -> Extent:
        """The extent of a node's result, when variables have these and it is evaluated so many times."""
        self.work += times
        if self.is_exceeded:
            return ONE
        extent = self.place(node) if isinstance(node, Ident | Select) else None
        if extent is not None and not (isinstance(node, Select) and node.is_test):
            return extent
        match node:
            case Const():
                return Extent(len(node.value)) if isinstance(node.value, str | bytes) else ONE
            case Ident():
                return known.get(node.name) or Extent(self.inputs.longest, self.inputs.longest)
            case Select():
                extent = self.of(node.operand, known, times)
                return ONE if node.is_test else extent
            case Collection():
                parts = [self.of(part, known, times) for part in node.parts]
                self.memory += times * _ITEM_BYTES * len(parts)
                return Extent(max(1, len(parts)), max((max(part) for part in parts), default=1))
            case Fold():
                return self._fold(node, known, times)
        return self._call(node, known, times)

    def _call(self, node: Call, known: Mapping[str, Extent], times: float) -> Extent:
        extents = [self.of(argument, known, times) for argument in node.arguments]
        length, inner = sum(each.length for each in extents), max((each.inner for each in extents), default=1)
        name = node.function
        looked_at = sum(map(self._deep, extents)) if name in _DEEP else length
        self.work += times * looked_at * (1 if name in self.python else _NATIVE)
        if name in _SAME:
            return Extent(max((each.length for each in extents[-2:]), default=1), inner)
        if name in _ELEMENT:
            return Extent(inner, inner)
        if name == "join":
            length = extents[0].length * (extents[0].inner + (extents[1].length if len(extents) > 1 else 0))
        elif name == "replace" and len(extents) > 2:
            length = extents[0].length * (1 + extents[2].length)
        elif name == "format":
            length += self._deep(extents[-1]) + self.inputs.total
        elif name not in _GROWING:
            return ONE
        self.memory += times * length * (_ITEM_BYTES if name in ("split", "findAll") else 1)
        return Extent(length, inner)

    def _deep(self, extent: Extent) -> float:
        return min(extent.length * extent.inner, max(self.inputs.total, extent.length, extent.inner))

    def _fold(self, node: Fold, known: Mapping[str, Extent], times: float) -> Extent:
        range_, start = self.of(node.range, known, times), self.of(node.start, known, times)
        if node.variables == ("#unused",):  # `cel.bind`: a loop over nothing
            return self.of(node.result, {**known, node.accumulator: start}, times)
        steps = min(MAX_STEPS, range_.length)
        element = Extent(range_.inner, range_.inner)
        inside = {**known, **dict.fromkeys(node.variables, element), node.accumulator: Extent(0, start.inner)}
        self.of(node.condition, inside, steps * times)
        # The macros add to the accumulator or replace it by a truth value: each step adds what the first one does.
        added = self.of(node.step, inside, steps * times)
        end = Extent(start.length + added.length * steps, max(start.inner, added.inner))
        return self.of(node.result, {**inside, node.accumulator: end}, times)
