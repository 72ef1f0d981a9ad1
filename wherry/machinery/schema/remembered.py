"""Values that come again and again, such as the spec of pods that are made from one template, are walked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from wherry.machinery.schema.defaults import Defaults
from wherry.machinery.schema.findings import MAX_UNKNOWN, Path, Run

Walker = Callable[[Any, Path, Run], Any]

# How many values are remembered, and how long one may be as JSON: a large pod.
MOST = 128
LONGEST = 8192


def remembered(walker: Walker, defaults: Defaults | None) -> Walker:
    """The same walk; what it makes of values in which it finds nothing wrong is remembered, the oldest forgotten.

    All is forgotten when a rule is added to the defaults that the walk fills in.
    """
    known: dict[bytes, tuple[bytes, int]] = {}
    rules = 0

    def walk_remembered(value: Any, path: Path, run: Run) -> Any:
        nonlocal rules
        if defaults is not None and defaults.count != rules:
            rules = defaults.count
            known.clear()
        text = _text(value)
        if len(text) > LONGEST:
            return walker(value, path, run)
        found = known.get(text)
        if found is not None:
            run.keys += found[1]
            return orjson.loads(found[0])
        keys, unknown = run.keys, len(run.unknown)
        result = walker(value, path, run)
        # Beyond the most that are reported, nobody knows whether there was another unknown field here.
        is_clean = not run.errors and len(run.unknown) == unknown < MAX_UNKNOWN
        if text and is_clean and (made := _text(result)):
            known[text] = (made, run.keys - keys)
            if len(known) > MOST:
                # Two threads may be here at once.
                known.pop(next(iter(tuple(known)), b""), None)
        return result

    return walk_remembered


def _text(value: Any) -> bytes:
    """The value as JSON; empty for what is none."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b""
