"""A few inputs through every parser, and that faults are found, kept and found again."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.fuzzing import Fuzzing, replay
from tests.fuzz.inputs import Inputs
from tests.fuzz.targets import TARGETS, Target

INPUTS = 150


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_hostile_inputs_are_refused_quickly(target: Target, tmp_path: Path):
    fuzzing = Fuzzing([target], 7, tmp_path)

    fuzzing.run(INPUTS)

    assert fuzzing.failures == {}
    assert fuzzing.counts[target.name].inputs == INPUTS


def test_the_same_seed_makes_the_same_inputs():
    def some(target: Target, seed: int) -> list[bytes]:
        inputs = Inputs(target.corpus, target.grammar, target.longest, Random(seed))
        return list(itertools.islice(inputs, 100))

    for target in TARGETS.values():
        assert some(target, 1) == some(target, 1) != some(target, 2)


def fragile(data: bytes) -> None:
    if b"k" in data:
        raise KeyError(data)
    if b"v" in data:
        raise ValueError("refused")


def test_an_input_that_breaks_a_parser_is_kept_once_and_breaks_it_again(tmp_path: Path):
    target = Target("fragile", fragile, [b"key=value"])
    fuzzing = Fuzzing([target], 1, tmp_path)
    told: list[str] = []

    fuzzing.run(100, told.append)

    (kept,) = fuzzing.failures.values()
    assert list(tmp_path.iterdir()) == [kept]
    assert any("KeyError" in text and f"REPLAY={kept}" in text for text in told)
    assert replay(kept, {"fragile": target}) == 1
    kept.write_bytes(b"v")
    assert replay(kept, {"fragile": target}) == 0


def sluggish(data: bytes) -> None:
    begun = time.process_time()
    while data[:1] == b"#" and time.process_time() < begun + 0.15:
        pass


def endless(data: bytes) -> None:
    while data[:1] == b"#":
        pass


@pytest.mark.parametrize(("run", "complaint"), [(sluggish, "s of CPU"), (endless, "Endless")])
def test_an_input_that_takes_long_is_kept(run: Callable[[bytes], None], complaint: str, tmp_path: Path):
    calls = itertools.count()
    target = Target("slow", lambda data: run(b"#" if next(calls) in (5, 6) else data), [b"a b"])
    fuzzing = Fuzzing([target], 1, tmp_path, endless_seconds=0.5)
    told: list[str] = []

    fuzzing.run(20, told.append)

    assert len(fuzzing.failures) == 1
    assert complaint in "".join(told)
