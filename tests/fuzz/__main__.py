"""Hostile inputs for whatever parses what strangers send.

    python -m tests.fuzz [--inputs 100000] [--seed 1] [--targets quantity,cel] [--folder .fuzz] [--replay FILE]

No input may break a parser (an exception but that by which it refuses), keep it busy for more than 100 ms of CPU, or
be answered 5xx. One that does is printed and kept in the folder, and can be given again. The same seed makes the same
inputs.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from pathlib import Path

import structlog

from tests.fuzz.fuzzing import Fuzzing, replay
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", type=lambda text: text.split(","), default=list(TARGETS))
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"))
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"--targets: {', '.join(unknown)} is not one of {', '.join(TARGETS)}")
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if options.replay:
        return replay(options.replay)
    fuzzing = Fuzzing([TARGETS[name] for name in options.targets], options.seed, options.folder)
    with contextlib.suppress(KeyboardInterrupt):  # what was learned until then is told
        fuzzing.run(options.inputs, show=lambda text: print(text, file=sys.stderr, flush=True))
    print(fuzzing.report())
    return 1 if fuzzing.failures else 0


if __name__ == "__main__":
    sys.exit(main())
