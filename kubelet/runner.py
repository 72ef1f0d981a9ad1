"""The kubelet as a whole: pods come in by a watch, each gets a worker; the runtime's events wake them.

At start it adopts what runs: workers look before they act, and what they see is what an earlier kubelet left. What
belongs to pods that no longer exist is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from kubelet.act import confirm_deletion
from kubelet.charge import Charge
from kubelet.cleanup import pod_folders, remove_pod_folder, remove_pod_folders
from kubelet.host import Host, Settings
from kubelet.images import Images
from kubelet.node import NodeReporter, allocatable
from kubelet.reporting.devices import DeviceReporter
from kubelet.resources import host_ports, room
from kubelet.resources.gpus import Gpus
from kubelet.resources.machine import read_machine
from kubelet.runtime.base import ContainerRecord, Runtime, RuntimeFailure
from kubelet.runtime.counted import Operations
from kubelet.seen import Failure
from kubelet.server import Server
from kubelet.supplies.local_volumes import LocalVolumes
from kubelet.supplies.objects import Objects
from kubelet.supplies.tokens import Tokens
from kubelet.worker import Finished, Worker
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.api.resource.gpu import asked, granted_to
from wherry.client.backoff import Backoff
from wherry.client.device_slices import Publisher
from wherry.client.events import EventRecorder
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.client.serving.access import Access
from wherry.client.serving.tls import Tls
from wherry.machinery.errors import ApiError

log = structlog.get_logger()

SWEEP_SECONDS = 60.0
_RECONNECT_SECONDS = 0.5
_NO_FREE_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
_ORPHAN_GRACE_SECONDS = 2.0


class Kubelet:
    """One node. `prepare` is awaited, until it succeeds, before the first container is made."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        runtime: Runtime,
        *,
        gpus: Gpus | None = None,
        pod_cidr: str = "",
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        machine = read_machine(settings.data_dir)
        gpus = gpus or Gpus(())
        self.operations = Operations()
        runtime = self.operations.counting(runtime)
        self.settings, self.runtime = settings, runtime
        self._client, self._pod_cidr, self._prepare = client, pod_cidr, prepare
        self._pods = Informer(client, Pod, fields=f"spec.nodeName={settings.node_name}")
        self.node = NodeReporter(settings, client, runtime, machine, gpus)
        self._host = Host(
            settings=settings,
            runtime=runtime,
            client=client,
            recorder=EventRecorder(client, "kubelet", host=settings.node_name),
            images=Images(runtime),
            gpus=gpus,
            objects=Objects(client, self._spawn, self._source_changed),
            tokens=Tokens(client),
            local_volumes=LocalVolumes(
                client, settings.local_path_folder, settings.node_name, self._spawn, self._is_in_use
            ),
            services=Informer(client, Service),
            memory_bytes=machine.memory_bytes,
            allocatable=allocatable(machine, gpus, settings.max_pods),
            recorded=self._recorded,
        )
        self._devices = DeviceReporter(
            gpus, Publisher(client, settings.node_name), self._host.recorder, self._pods.list
        )
        self._workers: dict[str, Worker] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def node_name(self) -> str:
        """Whose kubelet this is."""
        return self.settings.node_name

    def charge(self, namespace: str, name: str) -> Charge | None:
        """The pod of that name."""
        pod = self._pods.get(f"{namespace}/{name}")
        worker = self._workers.get(pod.metadata.uid) if pod else None
        return worker.charge if worker else None

    def charges(self) -> list[Charge]:
        """Every pod of this node."""
        return [worker.charge for worker in self._workers.values()]

    async def run(self, tls: Tls | None = None) -> None:
        """Serve and live, until cancelled; the pods stay as they are then."""
        server = Server(self, Access(self._client), self._client)
        await server.start(self.settings.address, self.settings.port, tls)
        self.node.port = server.port
        try:
            await self.live()
        finally:
            await server.stop()

    async def live(self) -> None:
        """Everything but the port: register, report, and run pods."""
        async with asyncio.TaskGroup() as self._tasks:
            for service in (self._host.recorder.run(), self._host.services.run(), self._pods.run()):
                self._tasks.create_task(service)
            await self.node.register(self._pod_cidr)
            await self._devices.begin()
            self._tasks.create_task(self.node.run_lease())
            self._tasks.create_task(self.node.run_status())
            self._tasks.create_task(self._devices.run(self.node.check_now))
            await self._begin()
            self._tasks.create_task(self._watch_runtime())
            self._tasks.create_task(self._sweep_now_and_then())

    async def _begin(self) -> None:
        """Everything that must be known before the first pod is touched."""
        await self._pods.synced()
        await self._host.services.synced()
        while True:
            try:
                if self._prepare is not None:
                    await self._prepare()
                inventory = await self.runtime.inventory()
                break
            except RuntimeFailure as error:
                log.warning("runtime not ready", error=str(error))
                await asyncio.sleep(1)
        self._host.gpus.adopt((record for record in inventory.containers if record.is_running), self._counted)
        log.info("adopting", node=self.settings.node_name, containers=len(inventory.containers))
        self._host.local_volumes.adopt()
        self._pods.subscribe(self._pod_changed)

    # -- pods --------------------------------------------------------------------------------------------------------

    def _pod_changed(self, change: Change[Pod]) -> None:
        if change.after is None:
            if change.before is not None:
                self._pod_gone(change.before)
            return
        worker = self._workers.get(change.after.metadata.uid)
        if worker is None:
            worker = Worker(change.after, self._host)
            self._admit(worker)
            self._workers[change.after.metadata.uid] = worker
            self._spawn(self._run_worker(worker))
            return
        worker.update(change.after)
        if worker.state is Finished and change.after.metadata.deleted_at is not None:
            self._spawn(self._let_go(worker))

    def _admit(self, worker: Worker) -> None:
        """Reject a pod that asks for what others have; who bound it here did not ask the scheduler, or another one."""
        pod = worker.charge.pod
        if pod.status.start_time is not None:
            return  # an earlier kubelet took it
        others = [other for other in self._pods.list() if self._is_here(other)]
        if lack := room.shortage(pod, others, self._host.allocatable):
            _reject(worker, lack.reason, str(lack))
        elif host_ports.are_taken(pod, others):
            _reject(worker, "NodePorts", _NO_FREE_PORTS)

    def _is_here(self, pod: Pod) -> bool:
        """Whether a pod runs, or is going to; before its worker is there, by what an earlier kubelet reported."""
        worker = self._workers.get(pod.metadata.uid)
        return worker.may_run if worker else pod.status.start_time is not None and not pod.is_finished

    def _pod_gone(self, pod: Pod) -> None:
        worker = self._workers.get(pod.metadata.uid)
        if worker is None:
            return
        worker.lose()
        if worker.state is Finished:
            self._spawn(self._forget(worker))

    async def _run_worker(self, worker: Worker) -> None:
        """A worker that breaks is started again: it looks before it acts, so nothing is lost but time."""
        backoff = Backoff(1.0, 60.0)
        while worker.state is not Finished:
            try:
                await worker.run()
            except Exception as error:
                # One pod's accident must not take the node down.
                log.exception("worker failed", pod=worker.charge.pod.key)
                worker.charge.tell("FailedSync", f"error syncing pod, will try again: {error!r}", "Warning")
                await asyncio.sleep(backoff.next())
        if worker.charge.is_pod_gone:
            await self._forget(worker)

    async def _let_go(self, worker: Worker) -> None:
        """A finished pod is deleted: its containers go, then its object."""
        try:
            await self._remove_containers(worker.charge.uid)
            await confirm_deletion(worker.charge)
        except (RuntimeFailure, ApiError) as error:
            log.warning("finished pod not removed yet", pod=worker.charge.pod.key, error=str(error))
            await asyncio.sleep(1)
            self._spawn(self._let_go(worker))

    async def _forget(self, worker: Worker) -> None:
        self._workers.pop(worker.charge.uid, None)
        try:
            await self._remove_containers(worker.charge.uid)
        except RuntimeFailure as error:
            log.warning("leftovers stay for now", pod=worker.charge.pod.key, error=str(error))
        await asyncio.to_thread(remove_pod_folder, worker.charge.folder)

    async def _remove_containers(self, pod_uid: str) -> None:
        inventory = await self.runtime.inventory(pod_uid)
        for thing in inventory.all:
            await self.runtime.remove(thing.id)

    def _source_changed(self, pod_uid: str) -> None:
        worker = self._workers.get(pod_uid)
        if worker is not None:
            worker.refresh_volumes()

    def _is_in_use(self, claim: str, path: Path) -> bool:
        busy = [worker for worker in self._workers.values() if worker.state is not Finished]
        return any(worker.charge.volumes.uses(claim, path) for worker in busy)

    def _counted(self, record: ContainerRecord) -> int:
        pod = next((pod for pod in self._pods.list() if pod.metadata.uid == record.pod.uid), None)
        containers = (*pod.spec.containers, *pod.spec.init_containers) if pod else ()
        wanted = (asked(container) for container in containers if container.name == record.name)
        return next(wanted, len(record.gpu_ids))

    def _recorded(self) -> dict[str, str]:
        pods = (pod for pod in self._pods.list() if not pod.is_finished)
        return {uuid: pod.metadata.uid for pod in pods for uuid in granted_to(pod) or ()}

    # -- the runtime -------------------------------------------------------------------------------------------------

    async def _watch_runtime(self) -> None:
        """Wake the pod whose container changed; everyone when the connection is new."""
        while True:
            try:
                async for change in self.runtime.changes():
                    workers = [self._workers.get(change.pod_uid)] if change.pod_uid else self._workers.values()
                    for worker in workers:
                        if worker is not None:
                            worker.wake()
            except RuntimeFailure as error:
                log.warning("runtime events broke off", error=str(error))
            self.node.check_now()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _sweep_now_and_then(self) -> None:
        while True:
            try:
                await self._sweep()
            except RuntimeFailure as error:
                log.warning("sweep failed", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _sweep(self) -> None:
        """Remove what belongs to pods that neither exist nor have a worker."""
        inventory, known = await self.runtime.inventory(), self._known()
        orphans = [thing for thing in inventory.all if thing.pod.uid not in known]
        running = [thing for thing in inventory.containers if thing.pod.uid not in known and thing.is_running]
        for record in running:
            await self.runtime.signal(record.id, record.stop_signal or "SIGTERM")
        if running:
            await asyncio.sleep(_ORPHAN_GRACE_SECONDS)
        for thing in orphans:
            log.info("removing orphan", pod=f"{thing.pod.namespace}/{thing.pod.name}", id=thing.id[:12])
            await self.runtime.remove(thing.id)
        # Looked for before asking who is known: a pod that comes meanwhile must not lose the folder it is just given.
        folders = await asyncio.to_thread(pod_folders, self.settings.data_dir)
        gone = [folder for folder in folders if folder.name not in self._known()]
        await asyncio.to_thread(remove_pod_folders, gone)

    def _known(self) -> set[str]:
        return set(self._workers) | {pod.metadata.uid for pod in self._pods.list()}

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            work.close()
            raise RuntimeError("the kubelet does not run yet")
        return self._tasks.create_task(work)


def _reject(worker: Worker, reason: str, why: str) -> None:
    worker.charge.failure = Failure(reason, f"Pod was rejected: {why}")
    worker.charge.tell(reason, why, "Warning")
