"""A whole cluster on one virtual clock: API server on a store in memory, controllers, scheduler, hollow nodes.

    async def story() -> None:
        async with SimulatedCluster(nodes=3) as cluster:
            await cluster.admin.create(manifest)
            await cluster.settle()
            cluster.nodes["node-2"].kill()
            await asyncio.sleep(400)

    virtual_time.run(story(), seed=7)

The components run as they do in processes of their own and meet over the simulated network only. One seed is one run,
down to the names of pods. Differs from `wherry up`: one of each, unless several `managers` elect a leader among them;
hollow nodes run no containers; the clients' certificates are not signed by anybody, because there is no TLS.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apiserver.app import App
from apiserver.server import Server
from apiserver.server import Settings as ServerSettings
from controllers.assembly import Controllers
from controllers.assembly import Settings as ControllerSettings
from scheduler.config import plugins_of
from scheduler.framework import load_plugins
from scheduler.runner import Scheduler
from scheduler.settings import SchedulerConfig
from wherry.api.coordination.node_loss import KUBERNETES, NodeLoss
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import fake_gpus
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.leader import Leader, LostLead
from wherry.machinery.resource import Resource, all_kinds
from wherry.sim.hollow_node import HollowMachine, HollowNode
from wherry.sim.hollow_pod import Fate, usual_fate
from wherry.sim.journal import Journal
from wherry.sim.network import Faults, Network
from wherry.sim.part import Begin, Part, client_over

# Longer than an informer waits before it tries again, so that nobody who lags is taken for content.
QUIET_SECONDS = 6.0
# A rollout that hangs is told after 600 s; whatever is not at rest long after that never will be.
SETTLE_SECONDS = 3600.0
ADMIN = "admin"
LEASE = "kube-controller-manager"
RESTART_SECONDS = 1.0
# What a small image on the node already, and a server that obeys SIGTERM, need.
START_SECONDS, STOP_SECONDS = 1.0, 0.5
# Images with this in their name are in no registry.
MISSING = "missing"


class SimulatedCluster:
    """See the module. `admin` may do everything, and its requests are never lost; `journal` is the store."""

    def __init__(
        self,
        *,
        nodes: int = 3,
        capacity: Mapping[str, str] | None = None,
        gpus: int = 0,
        faults: Faults | None = None,
        node_loss: NodeLoss = KUBERNETES,
        managers: int = 1,
    ) -> None:
        self._timers = node_loss
        self.network = Network(None, faults, seed=clock.randomness().getrandbits(32))
        self.journal = Journal()
        self.admin = client_over(self.network.transport(ADMIN, "system:masters", faults=Faults()), ADMIN)
        self._tasks = asyncio.TaskGroup()
        self._folder = tempfile.TemporaryDirectory()
        self._running: Controllers | None = None
        self._leaders: dict[str, Leader] = {}
        self._capacity, self._gpus = capacity or {}, gpus
        settings = ServerSettings(
            service_account_key=Path(self._folder.name) / "service-account.key",
            not_ready_toleration_seconds=node_loss.toleration_seconds,
            unreachable_toleration_seconds=node_loss.toleration_seconds,
        )
        self.api_server = ApiServer(self.network, self._tasks, self.journal, settings)
        # With several of them one works and the others wait; `controllers` is the first.
        self.managers = [self._manager(number, managers > 1) for number in range(1, managers + 1)]
        self.controllers = self.managers[0]
        self.scheduler = self.part("system:kube-scheduler", schedule)
        self.nodes = {f"node-{number}": self._node(number) for number in range(1, nodes + 1)}

    def of(self, *kinds: type[Resource]) -> Self:
        """This cluster as a small world, which has objects of these kinds only, and takes a fraction of the time.

        All components run as ever, and find every other kind empty. To be said before it starts.
        """
        self.network.empty = frozenset(kind.kind.path() for kind in all_kinds() if kind not in kinds)
        return self

    def part(self, user: str, begin: Begin, *groups: str) -> Part:
        """A client of its own, as yet not started."""
        return Part(self.network, self._tasks, user, groups, begin)

    def _node(self, number: int) -> Part:
        name = f"node-{number}"

        async def be_a_node(client: Client) -> None:
            machine = HollowMachine(
                number,
                self._capacity,
                fake_gpus(name, self._gpus),
                start_seconds=START_SECONDS,
                stop_seconds=STOP_SECONDS,
                lease_seconds=self._timers.lease_seconds,
            )
            await HollowNode(client, name, machine, play=fate_by_image).run()

        return self.part(f"system:node:{name}", be_a_node, "system:nodes")

    def _manager(self, number: int, elects: bool) -> Part:
        async def lead(client: Client) -> None:
            while True:
                leader = Leader(client, LEASE, identity=f"manager-{number}")
                self._leaders[leader.identity] = leader
                try:
                    await leader.lead(partial(self._control, client, leader.holds))
                except LostLead:
                    await asyncio.sleep(RESTART_SECONDS)  # as the supervisor of a process does

        return self.part("system:kube-controller-manager", lead if elects else self._control)

    async def _control(self, client: Client, may_act: Callable[[], bool] = lambda: True) -> None:
        settings = ControllerSettings(node_grace_seconds=self._timers.grace_seconds)
        self._running = Controllers(client, settings, may_act=may_act)
        await self._running.run()

    @property
    def leading(self) -> list[str]:
        """Which of several managers may write at this moment."""
        return [identity for identity, leader in self._leaders.items() if leader.holds()]

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self.api_server.start()
        await self.api_server.ready()
        for part in (*self.managers, self.scheduler, *self.nodes.values()):
            part.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in (*self.nodes.values(), self.scheduler, *self.managers):
            part.kill()
        self.api_server.kill()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            await self.journal.close()
            self._folder.cleanup()

    @property
    def is_idle(self) -> bool:
        """Whether the controllers have nothing to do, but for what waits for a time."""
        return self._running is not None and self._running.is_idle

    async def settle(self, quiet_seconds: float = QUIET_SECONDS, within_seconds: float = SETTLE_SECONDS) -> None:
        """Return when nothing but heartbeats was written for so long and the controllers are content.

        Raises TimeoutError when that does not come.
        """
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        async with asyncio.timeout(within_seconds):
            while True:
                left = max(begun_at, self.journal.last_at) + quiet_seconds - loop.time()
                if left <= 0 and self.is_idle:
                    return
                await asyncio.sleep(max(left, 0.1))


class ApiServer:
    """The API server of a simulated cluster; what it stores outlives it."""

    def __init__(self, network: Network, tasks: asyncio.TaskGroup, store: Journal, settings: ServerSettings) -> None:
        self._network, self._tasks, self._store, self._settings = network, tasks, store, settings
        settings.service_account_key.write_bytes(signing_key())
        self._server: Server | None = None
        self._life: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen; see `ready`."""
        if self._life is not None:
            return
        self._server = Server(self._store, self._settings, now=clock.now, random=clock.randomness())
        self._network.app = App(self._server)
        self._life = self._tasks.create_task(self._server.run(), name="apiserver")

    async def ready(self) -> None:
        """Return when it is ready."""
        while self._server is None or self._server.health.pending:  # noqa: ASYNC110  # its health has no event
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        """As SIGKILL: whatever is under way ends; what it wrote by then is written."""
        self._network.app = None
        self._network.cut()
        if self._life is not None:
            self._life.cancel()
        self._server = self._life = None


def fate_by_image(pod: Pod) -> Fate:
    """Pods whose image is called missing wait for it for ever."""
    if any(MISSING in container.image for container in pod.spec.containers):
        return Fate.NO_IMAGE
    return usual_fate(pod)


async def schedule(client: Client) -> None:
    """Be a scheduler with the default profile, until cancelled."""
    known = load_plugins()
    profiles = {profile.scheduler_name: plugins_of(profile, known) for profile in SchedulerConfig().profiles}
    await Scheduler(client, profiles).run()


@cache
def signing_key() -> bytes:
    """Signs pods' tokens (PEM). Not of the seed, which does no harm: no object holds a token."""
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
