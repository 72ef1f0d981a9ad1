"""The controllers of a simulated cluster crash after their n-th write: one schedule for each n."""

import asyncio
from collections.abc import Callable

from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Write

NEVER = 0
BACK_AFTER_SECONDS = 1.0


def is_no_event(resource: str) -> bool:
    return resource != "events"


class CrashAfter:
    """Counts the controllers' `writes` from now on; at the n-th they crash, once, and are back a second later."""

    def __init__(self, cluster: SimulatedCluster, number: int, counts: Callable[[str], bool] = is_no_event) -> None:
        self._cluster, self._number, self._counts = cluster, number, counts
        self.writes = 0
        cluster.journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if "controller-manager" not in write.actor or not self._counts(write.resource):
            return
        self.writes += 1
        if self.writes == self._number:
            self._cluster.controllers.kill()
            asyncio.get_running_loop().call_later(BACK_AFTER_SECONDS, self._cluster.controllers.start)
