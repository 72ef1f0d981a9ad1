"""What stays is seldom looked through for garbage again."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from wherry.machinery import garbage


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_is_there_and_what_a_look_at_everything_has_left_is_not_looked_at_again():
    garbage.look_seldom(1_000_000, 10)
    before = gc.get_freeze_count()
    kept = [[] for _ in range(1000)]

    gc.collect(1)
    after_a_small_look = gc.get_freeze_count()
    gc.collect()

    assert before > 1000
    assert after_a_small_look <= before
    assert gc.get_freeze_count() >= before + len(kept)
    assert gc.get_threshold() == (1_000_000, 10, 100)


class Knot:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_that_end_after_they_had_stayed_are_freed_in_the_end():
    garbage.look_seldom()  # as a parent may have said that was forked
    garbage.look_seldom(1_000_000, 10)
    knot = Knot()
    gc.collect()
    ended = weakref.ref(knot)
    del knot

    left = []
    for _ in range(garbage.WHOLE_EVERY - 1):
        gc.collect()
        left.append(ended() is not None)

    assert left == [True] * (garbage.WHOLE_EVERY - 2) + [False]
