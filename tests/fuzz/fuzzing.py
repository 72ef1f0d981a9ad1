"""Inputs through parsers: what is counted, what is a fault, and what is kept of it."""

from __future__ import annotations

import hashlib
import itertools
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

import yaml

from tests.fuzz.inputs import BLOCK, Inputs
from tests.fuzz.targets import TARGETS, Target, chance_of
from wherry.machinery.errors import ApiError

MOST_SECONDS = 0.1
# After so much CPU for a block of inputs, one of them is taken for endless.
ENDLESS_SECONDS = 20.0


class Endless(BaseException):
    """Raised into a parser that does not end."""


@dataclass(slots=True)
class Count:
    """What became of a parser's inputs."""

    inputs: int = 0
    refused: int = 0
    cpu_seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest: bytes = b""


def fault_of(target: Target, data: bytes) -> tuple[str, bool]:
    """What is wrong with how a parser takes an input ("" if nothing), and whether it refuses it."""
    try:
        target.run(data)
    except ApiError as error:
        return (f"{error.code} {error}" if error.code >= 500 else ""), True
    except (ValueError, yaml.YAMLError) as error:
        return (traceback.format_exc() if isinstance(error, UnicodeError) else ""), True
    except (Exception, Endless):
        return traceback.format_exc(), False
    return "", False


def cpu_seconds_of(target: Target, data: bytes) -> tuple[float, str, bool]:
    """The CPU that an input takes, threads included, and what `fault_of` says."""
    begun = time.process_time()
    fault, is_refused = fault_of(target, data)
    return time.process_time() - begun, fault, is_refused


class Fuzzing:
    """One run. Faults are kept in `failures` by where they happen, and their inputs in files of the folder."""

    def __init__(
        self, targets: Sequence[Target], seed: int, folder: Path, endless_seconds: float = ENDLESS_SECONDS
    ) -> None:
        self.counts = {target.name: Count() for target in targets}
        self.failures: dict[str, Path] = {}
        self._targets, self._seed, self._folder = targets, seed, folder
        self._endless_seconds = endless_seconds

    def run(self, inputs: int, show: Callable[[str], None] = lambda text: None) -> None:
        """Give at least this many inputs to the parsers, by turns."""
        for target in self._targets:
            for data in target.corpus:
                fault, _ = fault_of(target, data)  # what is loaded and compiled once is not the input's doing
                if fault:
                    self._keep(target, data, fault, show)
        before = signal.signal(signal.SIGVTALRM, _give_up)
        done, shown, begun = 0, 0.0, time.monotonic()
        try:
            for target, block in self._turns():
                if done >= inputs:
                    return
                done += self._run_block(target, block, min(BLOCK, inputs - done), show)
                if time.monotonic() > shown + 10:
                    shown = time.monotonic()
                    show(f"{done} of {inputs} inputs, {shown - begun:.0f} s, {len(self.failures)} faults")
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)

    def report(self) -> str:
        """A line for each parser."""
        lines = [f"{'parser':<16} {'inputs':>9} {'refused':>9} {'mean us':>8} {'slowest ms':>10}  slowest input"]
        for name, count in self.counts.items():
            mean = 1e6 * count.cpu_seconds / max(count.inputs, 1)
            slowest = f"{len(count.slowest)} bytes {count.slowest[:48]!r}"
            line = f"{name:<16} {count.inputs:>9} {count.refused:>9} {mean:>8.1f} {1000 * count.slowest_seconds:>10.1f}"
            lines.append(f"{line}  {slowest}")
        total = sum(count.inputs for count in self.counts.values())
        return "\n".join([*lines, f"{total} inputs, {len(self.failures)} faults", *map(str, self.failures.values())])

    def _turns(self) -> Iterator[tuple[Target, int]]:
        for turn in itertools.count():
            for target in self._targets:
                for block in range(target.share):
                    yield target, turn * target.share + block

    def _run_block(self, target: Target, block: int, size: int, show: Callable[[str], None]) -> int:
        chance = Random(chance_of(self._seed, target.name, block))
        inputs = Inputs(target.corpus, target.grammar, target.longest, chance)
        count = self.counts[target.name]
        signal.setitimer(signal.ITIMER_VIRTUAL, self._endless_seconds, self._endless_seconds)
        for data in itertools.islice(inputs, size):
            seconds, fault, is_refused = cpu_seconds_of(target, data)
            count.inputs += 1
            count.refused += is_refused
            count.cpu_seconds += seconds
            if seconds > MOST_SECONDS and not fault:
                # A second look: garbage was collected, or the machine was busy with something else.
                seconds = min(seconds, cpu_seconds_of(target, data)[0])
            if seconds > count.slowest_seconds:
                count.slowest_seconds, count.slowest = seconds, data
            if seconds > MOST_SECONDS:
                fault = fault or f"it takes {seconds:.3f} s of CPU"
            if fault:
                self._keep(target, data, fault, show)
        return size

    def _keep(self, target: Target, data: bytes, fault: str, show: Callable[[str], None]) -> None:
        frames = [line for line in fault.splitlines() if line.startswith("  File")]
        where = f"{target.name}: {frames[-1] if frames else fault[:12]}"
        if where in self.failures:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        self.failures[where] = path
        show(
            f"{target.name}: {len(data)} bytes {data[:200]!r}\n{fault}\nkept as {path}; again: make fuzz REPLAY={path}"
        )


def replay(path: Path, targets: Mapping[str, Target] = TARGETS) -> int:
    """Give an input that was kept to its parser again, and say what comes of it; 1 if it is still wrong."""
    target = targets[path.name.rpartition("-")[0]]
    for data in target.corpus:
        fault_of(target, data)
    seconds, fault, is_refused = cpu_seconds_of(target, path.read_bytes())
    print(fault or ("refused" if is_refused else "accepted"), f"{seconds:.4f} s of CPU", sep="\n")
    return 1 if fault or seconds > MOST_SECONDS else 0


def _give_up(number: int, frame: FrameType | None) -> None:
    raise Endless("no end in sight")
