"""Chaos: what users, networks and crashes do to a cluster, all of it by seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from invariants import Invariants, is_active, is_ready, name_of

from wherry.api.apps.deployment import Deployment
from wherry.machinery.errors import AlreadyExists, ApiError, NotFound
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Write
from wherry.sim.network import Faults

FAULTS = Faults(
    lose_requests=0.1, lose_answers=0.1, cut_watches_after_seconds=10.0, watch_lag_seconds=0.5, repeat_events=0.05
)
# Three of these nodes hold 15 pods; two Deployments want 14 at most, and up to four more while they roll.
CAPACITY = {"cpu": "1250m"}
POD_CPU = "250m"
NAMES = ("web", "api")


def a_deployment(
    name: str, *, replicas: int, surge: int = 1, unavailable: int = 0, image: str = "v1"
) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": image, "resources": {"requests": {"cpu": POD_CPU}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, "strategy": strategy}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


class Chaos:
    """Does one random thing after the other to a cluster; `story` tells which, for whoever replays a seed."""

    def __init__(self, cluster: SimulatedCluster, chance: random.Random) -> None:
        self.story: list[str] = []
        self._cluster, self._chance = cluster, chance
        self._wanted: dict[str, dict[str, Any]] = {}
        self._deeds: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (6, self._apply),
            (1, self._delete),
            (3, self._restart_controllers),
            (2, self._pause_controllers),
            (1, self._strain_api_server),
            (1, self._forget_history),
            (1, self._jump_clock),
            (1, self._restart_scheduler),
            (1, self._restart_api_server),
            (1, self._restart_node),
        )

    async def rage(self, deeds: int) -> None:
        """Do so many things."""
        for _ in range(deeds):
            [(_, deed)] = self._chance.choices(self._deeds, [weight for weight, _ in self._deeds])
            await deed()
            await asyncio.sleep(self._chance.choice((0.0, 0.05, 0.5, 2.0, 10.0)))

    async def _apply(self) -> None:
        """Create a Deployment, or give it another size or version."""
        name, chance = self._chance.choice(NAMES), self._chance
        unavailable = chance.randint(0, 2)
        surge = chance.randint(0 if unavailable else 1, 2)
        bounds = {"surge": surge, "unavailable": unavailable, "image": f"v{chance.randint(1, 3)}"}
        self._wanted[name] = a_deployment(name, replicas=chance.randint(0, 7), **bounds)
        self._tell(f"apply {name} {bounds} replicas={self._wanted[name]['spec']['replicas']}")
        await self._insist(lambda: self._put(self._wanted[name]))

    async def _put(self, manifest: dict[str, Any]) -> None:
        try:
            await self._cluster.admin.create(manifest)
        except AlreadyExists:
            name = manifest["metadata"]["name"]
            await self._cluster.admin.patch(Deployment, name, "default", {"spec": manifest["spec"]})

    async def _delete(self) -> None:
        name = self._chance.choice(NAMES)
        self._tell(f"delete {name}")
        self._wanted.pop(name, None)
        await self._insist(lambda: self._cluster.admin.delete(Deployment, name, "default"))

    async def _insist(self, act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await act()
                return
            except NotFound:
                return
            except ApiError:
                await asyncio.sleep(0.1)

    async def _restart_controllers(self) -> None:
        self._tell("controllers")
        self._cluster.controllers.kill()
        await asyncio.sleep(self._chance.choice((0.0, 0.5, 3.0)))
        self._cluster.controllers.start()

    async def _pause_controllers(self) -> None:
        self._tell("controllers stand still")
        self._cluster.controllers.pause()
        await asyncio.sleep(self._chance.choice((0.5, 5.0, 15.0)))
        self._cluster.controllers.resume()

    async def _strain_api_server(self) -> None:
        """A tenth of all requests is refused for a minute: 429, 500 and 503."""
        self._tell("API server under strain")
        network = self._cluster.network
        before, network.faults = network.faults, replace(network.faults, refuse_requests=0.1)
        await asyncio.sleep(60)
        network.faults = before

    async def _forget_history(self) -> None:
        """The store compacts and the server starts anew: whoever watched must list again."""
        self._tell("compaction")
        self._cluster.api_server.kill()
        journal = self._cluster.journal
        await journal.compact(await journal.revision())
        self._cluster.api_server.start()

    async def _jump_clock(self) -> None:
        hours = self._chance.choice((-1, 0, 1))
        self._tell(f"the controllers' clock is off by {hours} h")
        self._cluster.controllers.set_clock(hours=hours)

    async def _restart_scheduler(self) -> None:
        self._tell("scheduler")
        self._cluster.scheduler.kill()
        await asyncio.sleep(self._chance.choice((0.0, 2.0)))
        self._cluster.scheduler.start()

    async def _restart_api_server(self) -> None:
        self._tell("API server")
        self._cluster.api_server.kill()
        await asyncio.sleep(self._chance.choice((0.0, 2.0)))
        self._cluster.api_server.start()

    async def _restart_node(self) -> None:
        name = self._chance.choice(sorted(self._cluster.nodes))
        self._tell(name)
        self._cluster.nodes[name].kill()
        await asyncio.sleep(self._chance.choice((0.0, 5.0)))
        self._cluster.nodes[name].start()

    def _tell(self, what: str) -> None:
        self.story.append(f"{asyncio.get_running_loop().time():9.3f} {what}")

    def complaints(self, seen: Invariants) -> list[str]:
        """What is not as it was wanted last, once the world is at rest."""
        present = {name_of(key) for key in seen.objects["deployments"]}
        wrong = [f"Deployments: {sorted(present)}"] if present != self._wanted.keys() else []
        for name, manifest in self._wanted.items():
            spec = manifest["spec"]
            image = spec["template"]["spec"]["containers"][0]["image"]
            pods = [pod for pod in seen.pods() if pod["metadata"]["labels"]["app"] == name]
            right = [pod for pod in pods if is_ready(pod) and pod["spec"]["containers"][0]["image"] == image]
            if not len(pods) == len(right) == spec["replicas"]:
                active = sum(map(is_active, pods))
                wanted = f"wanted {spec['replicas']} of {image}"
                wrong.append(f"{name}: {wanted}, has {len(pods)}, active {active}, right {len(right)}")
        return wrong + seen.orphans()


class Silence:
    """Writes that nobody expects of a cluster at rest: all but heartbeats and what nodes report of themselves."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.broken: list[str] = []
        cluster.journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.resource not in ("leases", "minions"):
            self.broken.append(f"{write.actor} wrote {write.key} at {write.at:.3f}, in a world at rest")
