"""Which lives to live: each seed is another one, and the same one however often it is lived.

WHERRY_SEEDS=5000 lives so many (`make soak`), WHERRY_FIRST=20000 lives those from there on, WHERRY_SEED=17 that one
again. With WHERRY_MINUTES=60 those in little worlds last an hour of virtual time each: misfortune comes in episodes,
with peace between them. What goes wrong mostly takes two or three misfortunes close together, and a cluster is quickly
made: eight short lives cost what a long one does and see more. So few are long.
"""

import os

LONG_EVERY = 8


def seeds(number: int) -> range:
    """So many, unless somebody asked for others."""
    one = os.environ.get("WHERRY_SEED", "")
    first = int(one or os.environ.get("WHERRY_FIRST", "0"))
    return range(first, first + (1 if one else int(os.environ.get("WHERRY_SEEDS", number))))


def deeds(seed: int, long: int, short: int) -> int:
    """How much happens in this life."""
    return long if seed % LONG_EVERY == 0 else short


def least_seconds() -> float:
    """How long a life in a little world lasts; it ends with the episode in which this time is over."""
    return 60.0 * float(os.environ.get("WHERRY_MINUTES", "0"))


def replay(seed: int, file: str) -> str:
    """What to say of a life in which a promise was broken."""
    minutes = os.environ.get("WHERRY_MINUTES")
    long = f"WHERRY_MINUTES={minutes} " if minutes else ""
    return f"replay: {long}WHERRY_SEED={seed} .venv/bin/pytest -q tests/properties/{os.path.basename(file)}"
