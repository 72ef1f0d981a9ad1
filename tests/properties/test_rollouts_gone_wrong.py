"""Roll-outs of an image that does not exist, and roll-outs while the server refuses what it is asked.

Whatever happens, never fewer pods serve than the Deployment allows.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from chaos import Silence, a_deployment
from invariants import Invariants, is_ready
from worlds import DEPLOYMENTS

from wherry.api.apps.deployment import Deployment
from wherry.api.meta import find_condition
from wherry.sim.cluster import MISSING, SimulatedCluster
from wherry.sim.journal import Write
from wherry.sim.network import Faults
from wherry.sim.virtual_time import in_virtual_time, run

REPLICAS = 8
MANAGER = "system:kube-controller-manager"
STRAIN = Faults(refuse_requests=0.07, lose_requests=0.02, lose_answers=0.01)
STRAIN_SECONDS = 60


class Served(Invariants):
    """The invariants, and the least number of pods that ever served since `begin`."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        super().__init__(cluster.journal)
        self.least = REPLICAS
        self._cluster = cluster

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at every write from here to the end."""
        self._cluster.journal.subscribe(self._look)
        yield
        self._cluster.journal.unsubscribe(self._look)

    def _look(self, write: Write) -> None:
        self.least = min(self.least, len(self.images()))

    def images(self) -> list[str]:
        """Of which images the pods are that serve."""
        return [pod["spec"]["containers"][0]["image"] for pod in self.pods() if is_ready(pod)]


async def begun(cluster: SimulatedCluster, **bounds: int) -> Served:
    """The Deployment as it is before the roll-out."""
    seen = Served(cluster)
    await cluster.admin.create(a_deployment("web", replicas=REPLICAS, **bounds))
    await cluster.settle()
    return seen


async def change_image(cluster: SimulatedCluster, image: str) -> None:
    spec = a_deployment("web", replicas=REPLICAS, image=image)["spec"]
    await cluster.admin.patch(Deployment, "web", "default", {"spec": {"template": spec["template"]}})


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 3), (2, 2)])
def test_a_broken_image_stops_the_roll_out_at_its_bound_and_undoing_restores_all(surge: int, unavailable: int):
    @in_virtual_time
    async def story():
        async with SimulatedCluster(nodes=3).of(*DEPLOYMENTS) as cluster:
            seen = await begun(cluster, surge=surge, unavailable=unavailable)
            with seen.watched():
                await change_image(cluster, MISSING)
                await asyncio.sleep(700)
                deployment = await cluster.admin.get(Deployment, "web", "default")
                silence = Silence(cluster)
                await asyncio.sleep(600)
                assert seen.least == len(seen.images()) == REPLICAS - unavailable
                assert find_condition(deployment.status.conditions, "Progressing").reason == "ProgressDeadlineExceeded"
                assert silence.broken == []

                await change_image(cluster, "v1")
                await cluster.settle()
            assert (seen.images(), seen.least, seen.broken) == (["v1"] * REPLICAS, REPLICAS - unavailable, [])

    story()


async def roll_out(faults: Faults) -> tuple[int, list[Any]]:
    """How often the controllers asked the server for a roll-out under faults, and what was there a minute later."""
    async with SimulatedCluster(nodes=3).of(*DEPLOYMENTS) as cluster:
        seen = await begun(cluster, surge=1, unavailable=1)
        asked = cluster.network.sent[MANAGER]
        with seen.watched():
            cluster.network.faults = faults
            await change_image(cluster, "v2")
            await asyncio.sleep(STRAIN_SECONDS)
            cluster.network.faults = Faults()
            await asyncio.sleep(60)
        return cluster.network.sent[MANAGER] - asked, [seen.images(), seen.least, seen.broken]


@cache
def calm() -> int:
    return run(roll_out(Faults()), seed=0)[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_server_under_strain_is_asked_no_more_than_three_times_as_often(seed: int):
    strained, end = run(roll_out(STRAIN), seed=seed)

    assert end == [["v2"] * REPLICAS, REPLICAS - 1, []]
    assert strained <= 3 * calm()
