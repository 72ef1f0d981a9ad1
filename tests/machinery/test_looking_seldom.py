"""What stays is looked through for garbage once."""

import gc
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
