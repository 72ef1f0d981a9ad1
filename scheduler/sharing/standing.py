"""Standing: who has had how much of his share, and so whose pods go first. Pure.

Among pods of equal priority the one goes first whose user stands lowest. What users hold now counts as if they had
used it for ten minutes more already: so of two who begin at the same time each gets a turn, and not one of them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scheduler.sharing.usage import Amounts

AHEAD_SECONDS = 600.0


class Rules(NamedTuple):
    """What a core counts compared to a card, and who is to get how many times as much as others."""

    cpu_weight: float = 0.01
    weights: Mapping[str, int] = {}


class Account(NamedTuple):
    """What a user has `used` and `holds`, and the weight."""

    user: str
    used: Amounts = Amounts()
    holds: Amounts = Amounts()
    weight: int = 1

    def standing(self, cpu_weight: float) -> float:
        """The lower, the sooner it is this user's turn."""
        return self.used.plus(self.holds, AHEAD_SECONDS).worth(cpu_weight) / self.weight


def accounts(
    used: Mapping[str, Amounts], holds: Mapping[str, Amounts], rules: Rules, waiting: Iterable[str] = ()
) -> list[Account]:
    """Everybody who has used or holds something, or waits, whose turn it is first.

    Of two who stand alike it is the turn of the one who is named first in `waiting`.
    """
    came = list(dict.fromkeys(waiting))
    users = [*came, *sorted({*used, *holds} - set(came))]
    found = (
        Account(user, used.get(user, Amounts()), holds.get(user, Amounts()), rules.weights.get(user, 1))
        for user in users
    )
    return sorted(found, key=lambda account: account.standing(rules.cpu_weight))


def shares(found: Iterable[Account], cpu_weight: float) -> dict[str, float]:
    """Which part of all that was used each user has used; 0 to 1."""
    worth = {account.user: account.used.worth(cpu_weight) for account in found}
    whole = sum(worth.values())
    return {user: each / whole if whole else 0.0 for user, each in worth.items()}
