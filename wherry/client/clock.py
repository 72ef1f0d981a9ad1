"""What time it is and which way a die falls: both are asked of the running event loop, so that tests own them.

    now()              # UTC; on a virtual-time loop the time of that world
    randomness()       # a random.Random; on a virtual-time loop a seeded one
    with skewed(hours=1) as skew:
        group.create_task(component.run())       # this component's clock runs an hour ahead
    skew.offset = timedelta(hours=-1)            # and jumps

A loop owns time by having a method `wall_clock() -> datetime`, and chance by having an attribute `random`.
Intervals are never measured here but with `loop.time()`, which no clock change moves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class Skew:
    """How far a component's wall clock is off; may be changed while it runs."""

    offset: timedelta = timedelta()


_RIGHT = Skew()
_skew = ContextVar("_skew", default=_RIGHT)
_chance = random.Random()


def _loop() -> object:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def now() -> datetime:
    """The wall clock, in UTC."""
    wall_clock = getattr(_loop(), "wall_clock", None)
    at: datetime = wall_clock() if wall_clock else datetime.now(UTC)
    return at + _skew.get().offset


def whole_seconds(at: datetime) -> datetime:
    """The precision of most of Kubernetes' timestamps."""
    return at.replace(microsecond=0)


def now_in_seconds() -> datetime:
    """The wall clock with that precision."""
    return whole_seconds(now())


def randomness() -> random.Random:
    """Where jitter and name suffixes come from."""
    chance = getattr(_loop(), "random", _chance)
    return chance if isinstance(chance, random.Random) else _chance


@contextmanager
def skewed(**offset: float) -> Iterator[Skew]:
    """Tasks created inside believe a wall clock that is off by a `timedelta(**offset)`."""
    skew = Skew(_skew.get().offset + timedelta(**offset))
    token = _skew.set(skew)
    try:
        yield skew
    finally:
        _skew.reset(token)
