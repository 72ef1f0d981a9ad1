"""The checker itself: it finds what is wrong, and only that."""

from itertools import permutations
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.faults.linearisability import Operation, Register, after, first_impossible


def done(begun: float, ended: float, verb: str, value: str = "", revision: int = 0, expected: int = 0) -> Operation:
    return Operation(begun, ended, verb, "done", value, revision, expected)


def failed(begun: float, ended: float, verb: str, outcome: str, expected: int = 0) -> Operation:
    return Operation(begun, ended, verb, outcome, expected=expected)


A = done(0, 1, "create", "a", 1)

RIGHT = {
    "one after the other": [A, done(2, 3, "update", "b", 2, 1), done(4, 5, "get", "b", 2), done(6, 7, "delete")],
    "a read beside a write sees either": [
        A,
        done(2, 9, "update", "b", 2, 1),
        done(3, 4, "get", "a", 1),
        done(5, 6, "get", "b", 2),
    ],
    "an early reader decides for a late answer": [A, done(2, 3, "get", "b", 2), done(1.5, 9, "update", "b", 2, 1)],
    "a write without an answer is seen": [A, Operation(2, inf, "update", "unknown", "b"), done(4, 5, "get", "b", 2)],
    "or never happens": [A, Operation(2, inf, "update", "unknown", "b"), done(4, 5, "get", "a", 1)],
    "a conflict has a winner": [
        A,
        done(2, 5, "update", "b", 2, 1),
        failed(2, 5, "update", "conflict", 1),
        failed(2, 5, "create", "exists"),
    ],
    "deleted and made again": [A, done(2, 3, "delete"), failed(4, 5, "get", "absent"), done(6, 7, "create", "b", 9)],
}

WRONG = {
    "a read of the past": [A, done(2, 3, "update", "b", 2, 1), done(4, 5, "get", "a", 1)],
    "an acknowledged write is lost": [A, failed(2, 3, "get", "absent")],
    "two winners of one race": [A, done(2, 5, "update", "b", 2, 1), done(2, 5, "update", "c", 3, 1)],
    "two creators": [A, done(0, 1, "create", "b", 2)],
    "a value that nobody wrote": [A, done(2, 3, "get", "z", 2)],
    "two readers, one after the other, see time go back": [
        A,
        done(2, 9, "update", "b", 2, 1),
        done(3, 4, "get", "b", 2),
        done(5, 6, "get", "a", 1),
    ],
    "what was deleted returns": [A, done(2, 3, "delete"), done(4, 5, "get", "a", 1)],
    "a conflict without a rival": [A, failed(2, 3, "update", "conflict", 1)],
    "a revision that does not rise": [done(0, 1, "create", "a", 5), done(2, 3, "update", "b", 4, 5)],
    "it exists, said of what was gone": [A, done(2, 3, "delete"), failed(4, 5, "create", "exists")],
    "a write without an answer happens twice": [
        A,
        Operation(2, inf, "create", "unknown", "b"),
        done(3, 4, "delete"),
        done(5, 6, "get", "b", 2),
        done(7, 8, "delete"),
        done(9, 10, "get", "b", 2),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_histories_of_one_register_pass(name: str):
    assert first_impossible(RIGHT[name]) is None


@pytest.mark.parametrize("name", WRONG)
def test_histories_that_no_register_gives_are_found(name: str):
    assert first_impossible(WRONG[name]) is not None


def in_some_order(history: list[Operation]) -> bool:
    """The definition, tried out: some order that respects time explains every answer."""
    return any(_explains(order) for order in permutations(history))


def _explains(order: tuple[Operation, ...]) -> bool:
    if any(later.ended < earlier.begun for at, later in enumerate(order) for earlier in order[:at]):
        return False
    register: Register | None = Register()
    for operation in order:
        register = after(register, operation)
        if register is None:
            return False
    return True


times = some.tuples(some.integers(0, 6), some.integers(0, 6)).map(sorted)
outcomes = some.one_of(
    some.tuples(some.sampled_from(["create", "update", "get"]), some.just("done"), some.integers(1, 4)),
    some.tuples(some.just("delete"), some.just("done"), some.just(0)),
    some.tuples(some.just("update"), some.just("conflict"), some.just(0)),
    some.tuples(some.just("get"), some.just("absent"), some.just(0)),
)


@some.composite
def histories(draw: some.DrawFn) -> list[Operation]:
    """Up to five operations, right or wrong; a revision stands for one value."""
    history = []
    for client in range(draw(some.integers(1, 5))):
        (begun, ended), (verb, outcome, revision) = draw(times), draw(outcomes)
        value, expected = "abcde"[revision] if revision else "", draw(some.integers(0, 3)) if verb != "get" else 0
        history.append(Operation(begun, ended, verb, outcome, value, revision, expected, client))
    return history


@given(histories())
def test_the_checker_agrees_with_the_definition(history: list[Operation]):
    assert (first_impossible(history) is None) == in_some_order(history)
