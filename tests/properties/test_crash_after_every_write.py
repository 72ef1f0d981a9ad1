"""The controllers crash after their n-th write of a roll-out, for every n: the end is the same each time.

Kubernetes has been found wanting here (Sieve, OSDI 2022: intermediate states).
"""

from functools import cache
from typing import Any, NamedTuple

import pytest
from chaos import a_deployment
from crashes import NEVER, CrashAfter
from invariants import Invariants
from worlds import DEPLOYMENTS

from wherry.api.apps.deployment import Deployment
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import run

SEED = 5
# A roll-out takes about this many writes of the controllers; the test fails if it takes more.
MOST_WRITES = 50


class Outcome(NamedTuple):
    """How a roll-out ended, and after how many writes of the controllers."""

    state: dict[str, Any]
    broken: list[str]
    writes: int


async def roll_out(crash_after: int) -> Outcome:
    """From three pods of v1 to three of v2; the controllers crash once, and are back a second later."""
    async with SimulatedCluster(nodes=3).of(*DEPLOYMENTS) as cluster:
        seen = Invariants(cluster.journal)
        await cluster.settle()
        await cluster.admin.create(a_deployment("web", replicas=3, image="v1"))
        await cluster.settle()
        crash = CrashAfter(cluster, crash_after)
        new = a_deployment("web", replicas=3, image="v2")
        await cluster.admin.patch(Deployment, "web", "default", {"spec": new["spec"]})
        await cluster.settle()
        return Outcome(seen.state(), seen.broken + seen.orphans(), crash.writes)


@cache
def undisturbed() -> Outcome:
    return run(roll_out(NEVER), seed=SEED)


def test_the_roll_out_takes_no_more_writes_than_are_tried():
    assert 20 < undisturbed().writes <= MOST_WRITES


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_changes_nothing_in_the_end(number: int):
    outcome = run(roll_out(number), seed=SEED)

    assert (outcome.state, outcome.broken) == (undisturbed().state, [])
