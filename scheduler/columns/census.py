"""Census: how many of which sort are on which node; what was asked of it is kept true as they come and go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from scheduler.columns.arrays import IntArray

Sort = TypeVar("Sort", bound=Hashable)

# Answers that are kept, each one number per node; who asks for more has the oldest worked out again.
MOST_KEPT = 64


class _Answer(NamedTuple, Generic[Sort]):
    includes: Callable[[Sort], bool]
    numbers: IntArray


class Census(Generic[Sort]):
    """See the module. Nodes are known by name, so that what is on them may be counted before they are seen."""

    def __init__(self) -> None:
        self._numbers: dict[Sort, dict[str, int]] = {}
        self._kept: OrderedDict[Hashable, _Answer[Sort]] = OrderedDict()
        # By sort the answers that include it; worked out anew when other answers are kept.
        self._concerned: dict[Sort, list[_Answer[Sort]]] = {}
        # Rises when a sort turns up, or its last one is gone.
        self.version = 0

    def __iter__(self) -> Iterator[Sort]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def count(self, sort: Sort, node: str, row: int | None, change: int) -> None:
        """Note that a node, in this row if it has one, has one more (1) or less (-1)."""
        nodes = self._numbers.get(sort)
        if nodes is None:
            nodes = self._numbers[sort] = {}
            self.version += 1
        nodes[node] = nodes.get(node, 0) + change
        if row is not None:
            for answer in self._answers_about(sort):
                answer.numbers[row] += change
        if not nodes[node]:
            del nodes[node]
            if not nodes:
                del self._numbers[sort]
                self._concerned.pop(sort, None)
                self.version += 1

    def numbers(self, question: Hashable, includes: Callable[[Sort], bool], row_of: Mapping[str, int]) -> IntArray:
        """How many each row has of the sorts that are included; equal questions include the same."""
        answer = self._kept.pop(question, None)
        if answer is None:
            answer = _Answer(includes, self._added_up(includes, row_of))
            self._concerned.clear()
        self._kept[question] = answer
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
            self._concerned.clear()
        return answer.numbers

    def forget_answers(self) -> None:
        """Rows mean something else now, or what sorts are included."""
        self._kept.clear()
        self._concerned.clear()

    def _answers_about(self, sort: Sort) -> list[_Answer[Sort]]:
        concerned = self._concerned.get(sort)
        if concerned is None:
            concerned = self._concerned[sort] = [answer for answer in self._kept.values() if answer.includes(sort)]
        return concerned

    def _added_up(self, includes: Callable[[Sort], bool], row_of: Mapping[str, int]) -> IntArray:
        numbers = np.zeros(len(row_of), dtype=np.int64)
        for sort, nodes in self._numbers.items():
            if includes(sort):
                for node, number in nodes.items():
                    if node in row_of:
                        numbers[row_of[node]] += number
        return numbers
