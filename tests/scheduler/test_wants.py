"""Which kinds of pods want no more than a node has, compared with looking at each."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.columns.wants import FEWEST_ROWS, Wants

AMOUNTS = st.dictionaries(st.sampled_from(("cpu", "memory", "gpu")), st.integers(0, 4))
KINDS = st.lists(st.tuples(st.integers(0, 2), AMOUNTS, st.booleans()), min_size=1, max_size=3 * FEWEST_ROWS)


class Node(NamedTuple):
    """What is asked of a spot."""

    left: dict
    offered: dict
    lowest: int

    def free(self, resource):
        return self.left.get(resource, -1)

    def allocatable(self, resource):
        return self.offered.get(resource, 0)

    def has_below(self, priority):
        return self.lowest < priority

    def could_hold(self, priority, wanted):
        def most(resource):
            free = self.free(resource)
            return max(free, self.allocatable(resource)) if self.has_below(priority) else free

        return all(amount <= most(resource) for resource, amount in wanted.items())


@settings(max_examples=200, deadline=None)
@given(KINDS, AMOUNTS, AMOUNTS, st.integers(-1, 3))
def test_those_are_found_that_look_at_each_finds(kinds, left, offered, lowest):
    wants, node, there = Wants(), Node(left, offered, lowest), {}
    for number, (priority, wanted, goes) in enumerate(kinds):
        wants.add(number, priority, wanted)
        there[number] = (priority, wanted)
        if goes:
            gone = min(there)
            wants.remove(gone)
            del there[gone]

    assert wants.within(node) == [number for number, kind in there.items() if node.could_hold(*kind)]


def test_amounts_may_be_larger_than_columns_hold():
    wants = Wants()
    wants.add("huge", 0, {"memory": 2**80})
    wants.add("small", 0, {"memory": 1})

    assert wants.within(Node({"memory": 2**40}, {}, 0)) == ["small"]
