"""What a list, a watch or a deletion is about: a namespace, labels, fields. Kubernetes: SelectionPredicate.

One object is judged at a time where changes come one at a time. Of many objects that stand there, each term sorts out
those it does not hold for, in one expression and without a call per object: that is some twenty times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apiserver.fairness.slices import Slice
from apiserver.reading.stored import Stored
from wherry.machinery.selectors import FieldTerm, FieldTerms, Requirement, Requirements

# Questions that objects are asked before others get their turn: about a millisecond.
JUDGED_AT_A_TIME = 4000


class Selection(NamedTuple):
    """What somebody wants to see or hear of."""

    namespace: str
    labels: Requirements
    fields: FieldTerms

    @property
    def is_plain(self) -> bool:
        """Whether neither labels nor fields matter."""
        return self.labels.selects_everything and self.fields.selects_everything

    def matches(self, stored: Stored | None) -> bool:
        """Whether the object is selected."""
        if stored is None or (self.namespace and stored.namespace != self.namespace):
            return False
        if not self.labels.matches(stored.labels):
            return False
        return self.fields.selects_everything or self.fields.matches(stored.all_fields)

    @property
    def term_count(self) -> int:
        """How many questions each object is asked."""
        return len(self.labels.terms) + len(self.fields.terms)

    def chosen(self, listed: Sequence[Stored]) -> Sequence[Stored]:
        """The selected ones among objects of the namespace, in their order."""
        if self.labels.selects_nothing:
            return []
        for requirement in self.labels.terms:
            listed = _labelled(listed, requirement)
        # Labels come first: to know its fields, a custom object may have to be decoded.
        for term in self.fields.terms:
            listed = _fielded(listed, term)
        return listed


async def chosen_in_slices(selection: Selection, listed: Sequence[Stored]) -> Sequence[Stored]:
    """The same as `Selection.chosen`; others get their turn."""
    at_a_time = max(JUDGED_AT_A_TIME // max(selection.term_count, 1), 1)
    if len(listed) <= at_a_time:
        return selection.chosen(listed)
    chosen: list[Stored] = []
    time = Slice()
    for start in range(0, len(listed), at_a_time):
        chosen += selection.chosen(listed[start : start + at_a_time])
        await time.maybe_others_first()
    return chosen


class Judged:
    """Which objects are selected, judged in slices ahead of a moment at which nobody may wait."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._judged: Sequence[Stored] = ()
        self._chosen: set[int] = set()

    async def prepare(self, listed: Sequence[Stored]) -> None:
        """Judge those that there are now; those that change until the moment comes are judged then."""
        if len(listed) * self._selection.term_count > JUDGED_AT_A_TIME:
            self._chosen = {id(each) for each in await chosen_in_slices(self._selection, listed)}
            self._judged = listed  # as long as they are held, their ids are theirs

    def chosen(self, listed: Sequence[Stored]) -> Sequence[Stored]:
        """The selected ones, in their order."""
        if not self._judged:
            return self._selection.chosen(listed)
        known = set(map(id, self._judged))
        new = {id(each) for each in self._selection.chosen([each for each in listed if id(each) not in known])}
        wanted = self._chosen | new
        return [each for each in listed if id(each) in wanted]


def _labelled(listed: Sequence[Stored], term: Requirement) -> list[Stored]:
    key, values = term.key, frozenset(term.values)
    if term.operator in ("=", "in"):
        if len(values) == 1:
            (value,) = values
            return [each for each in listed if each.labels.get(key) == value]
        return [each for each in listed if each.labels.get(key) in values]
    if term.operator in ("!=", "notin"):
        return [each for each in listed if each.labels.get(key) not in values]
    if term.operator == "exists":
        return [each for each in listed if key in each.labels]
    if term.operator == "!":
        return [each for each in listed if key not in each.labels]
    return [each for each in listed if term.matches(each.labels)]


def _fielded(listed: Sequence[Stored], term: FieldTerm) -> list[Stored]:
    name, value, wanted = term.name, term.value, not term.negated
    if name == "metadata.name":
        return [each for each in listed if (each.name == value) is wanted]
    if name == "metadata.namespace":
        return [each for each in listed if (each.namespace == value) is wanted]
    return [each for each in listed if (each.field(name) == value) is wanted]
