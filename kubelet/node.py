"""The node's own object: registered at start, its status kept true, its lease renewed.

The lease is the heartbeat (every 10 s, a quarter of its duration); the status is written when it changes, and every
5 minutes. A runtime that is away for long makes the node NotReady. Kubernetes: kubelet_node_status.go,
nodestatus/setters.go, nodelease.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import structlog

from kubelet.host import Settings
from kubelet.resources.gpus import Gpus
from kubelet.resources.machine import Machine, Pressure, read_pressure
from kubelet.runtime.base import Engine, Image, Runtime, RuntimeFailure
from wherry.api.coordination.lease import Lease
from wherry.api.core.node import Node
from wherry.api.resource.gpu import MEMORY, RESOURCE, memory_of
from wherry.api.storage.provisioning import FOLDER
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import AlreadyExists, ApiError, NotFound
from wherry.machinery.quantity import Format, Quantity
from wherry.machinery.time import micro_time_text, time_text

log = structlog.get_logger()

Json = dict[str, Any]

VERSION = "v1.37.0+wherry"
LEASE_NAMESPACE = "kube-node-lease"
CHECK_SECONDS = 10.0
STATUS_SECONDS = 300.0
# Kubernetes: maxWaitForContainerRuntime.
RUNTIME_GRACE_SECONDS = 30.0
_RESERVED_MEMORY_BYTES = 100 * 1024**2
_MOST_IMAGES = 50


def capacity(machine: Machine, gpus: Gpus, max_pods: int) -> dict[str, Quantity]:
    """What the machine has."""
    amounts = {
        "cpu": Quantity.from_value(machine.cpus),
        "memory": Quantity.from_value(machine.memory_bytes, Format.BINARY_SI),
        "ephemeral-storage": Quantity.from_value(machine.disk_bytes, Format.BINARY_SI),
        "hugepages-1Gi": Quantity(),
        "hugepages-2Mi": Quantity(),
        "pods": Quantity.from_value(max_pods),
    }
    return amounts | _cards(len(gpus.ids), memory_of(gpus.cards)) if gpus.ids else amounts


def allocatable(machine: Machine, gpus: Gpus, max_pods: int) -> dict[str, Quantity]:
    """What of it pods may use: less what eviction keeps free, and devices that do not work."""
    amounts = capacity(machine, gpus, max_pods)
    if gpus.ids:
        amounts |= _cards(len(gpus.healthy_ids), memory_of(card for card in gpus.cards if card.is_healthy))
    memory = max(0, machine.memory_bytes - _RESERVED_MEMORY_BYTES)
    amounts["memory"] = Quantity.from_value(memory, Format.BINARY_SI)
    amounts["ephemeral-storage"] = Quantity.from_value(machine.disk_bytes * 9 // 10)
    return amounts


def _cards(number: int, memory_bytes: int) -> dict[str, Quantity]:
    return {RESOURCE: Quantity.from_value(number), MEMORY: Quantity.from_value(memory_bytes, Format.BINARY_SI)}


def node_manifest(settings: Settings, machine: Machine, pod_cidr: str) -> Json:
    """The Node as it is created."""
    labels = {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": settings.node_name,
        "kubernetes.io/os": "linux",
        **settings.labels,
    }
    spec = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]} if pod_cidr else {}
    metadata = {"name": settings.node_name, "labels": labels, "annotations": {FOLDER: str(settings.local_path_folder)}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def node_conditions(pressure: Pressure, runtime_problem: str, before: list[Json], now: datetime) -> list[Json]:
    """The four conditions, each with the time its status last changed."""
    memory = ("KubeletHasInsufficientMemory", "KubeletHasSufficientMemory")
    disk = ("KubeletHasDiskPressure", "KubeletHasNoDiskPressure")
    pids = ("KubeletHasInsufficientPID", "KubeletHasSufficientPID")
    conditions = [
        _pressure("MemoryPressure", pressure.memory, memory, "memory available"),
        _pressure("DiskPressure", pressure.disk, disk, ""),
        _pressure("PIDPressure", pressure.pids, pids, "PID available"),
    ]
    if runtime_problem:
        ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": runtime_problem}
    else:
        message = "kubelet is posting ready status"
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": message}
    old = {condition.get("type"): condition for condition in before}
    timed = []
    for condition in (*conditions, ready):
        known = old.get(condition["type"], {})
        is_same = known.get("status") == condition["status"]
        changed_at = (known.get("lastTransitionTime") if is_same else None) or time_text(now)
        timed.append(condition | {"lastHeartbeatTime": time_text(now), "lastTransitionTime": changed_at})
    return timed


def _pressure(type: str, is_high: bool, reasons: tuple[str, str], what: str) -> Json:
    if what:
        message = f"kubelet has {'insufficient' if is_high else 'sufficient'} {what}"
    else:
        message = f"kubelet has {'disk pressure' if is_high else 'no disk pressure'}"
    return {"type": type, "status": str(is_high), "reason": reasons[0 if is_high else 1], "message": message}


class NodeReporter:
    """One per kubelet."""

    def __init__(self, settings: Settings, client: Client, runtime: Runtime, machine: Machine, gpus: Gpus) -> None:
        self._settings, self._client, self._runtime = settings, client, runtime
        self._machine, self._gpus = machine, gpus
        self._engine: Engine | None = None
        self._problem, self._problem_at = "container runtime is down", 0.0
        # The status as the API server has it, and the revision that this is known of.
        self._last: Json = {}
        self._revision = 0
        self._written_at = float("-inf")
        self._changed = asyncio.Event()
        self._informer = Informer(client, Node, fields=f"metadata.name={settings.node_name}")
        self._informer.subscribe(self._saw)
        self.port = settings.port

    async def register(self, pod_cidr: str = "") -> None:
        """Create the Node, or take over the one there is; tries until it works."""
        manifest = node_manifest(self._settings, self._machine, pod_cidr)
        while True:
            try:
                try:
                    await self._client.create(manifest)
                except AlreadyExists:
                    own = {key: manifest["metadata"][key] for key in ("labels", "annotations")}
                    await self._client.patch(Node, self._settings.node_name, "", {"metadata": own})
                    await self._read_back()
                log.info("node registered", node=self._settings.node_name)
                return
            except ApiError as error:
                log.warning("node not registered yet", node=self._settings.node_name, error=str(error))
                await asyncio.sleep(1)

    async def _read_back(self) -> None:
        self._take_over(await self._client.get(Node, self._settings.node_name))

    def _take_over(self, node: Node) -> None:
        self._last = self._last | {"conditions": [condition.to_wire() for condition in node.status.conditions]}

    def _saw(self, change: Change[Node]) -> None:
        """Controllers call a node that is silent for long unknown: it says at once that it lives."""
        node = change.after
        if node is None or int(node.metadata.resource_version) < self._revision:
            return
        ours = {condition["type"]: condition["status"] for condition in self._last.get("conditions", ())}
        theirs = {condition.type: condition.status for condition in node.status.conditions}
        if any(theirs.get(type) != status for type, status in ours.items()):
            self._take_over(node)
            self._changed.set()

    def check_now(self) -> None:
        """Something about the runtime changed: look at once."""
        self._changed.set()

    async def run_lease(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            try:
                await self._renew()
            except ApiError as error:
                log.warning("lease not renewed", node=self._settings.node_name, error=str(error))
                await asyncio.sleep(1)
            else:
                await asyncio.sleep(self._settings.lease_seconds / 4)

    async def _renew(self) -> None:
        name = self._settings.node_name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": self._settings.lease_seconds,
            "renewTime": micro_time_text(clock.now()),
        }
        try:
            await self._client.patch(Lease, name, LEASE_NAMESPACE, {"spec": spec})
        except NotFound:
            node = await self._client.get(Node, name)
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid}
            metadata = {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
            await self._client.create({**kind, "metadata": metadata, "spec": spec})

    async def run_status(self) -> None:
        """Keep the status true until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._informer.run())
            await self._keep_status()

    async def _keep_status(self) -> None:
        while True:
            self._changed.clear()
            await self._check_runtime()
            try:
                await self._write()
            except NotFound:
                await self.register()
                continue
            except ApiError as error:
                log.warning("node status not written", node=self._settings.node_name, error=str(error))
                await asyncio.sleep(1)
                continue
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _check_runtime(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                self._engine = await self._runtime.engine()
        except (RuntimeFailure, TimeoutError) as error:
            self._problem_at = self._problem_at or loop.time()
            long_enough = loop.time() - self._problem_at >= RUNTIME_GRACE_SECONDS
            if long_enough or self._engine is None:
                self._problem = f"container runtime is down: {error or 'it does not answer'}"
        else:
            self._problem, self._problem_at = "", 0.0

    async def _write(self) -> None:
        status = await self._status()
        now = asyncio.get_running_loop().time()
        is_old = now - self._written_at >= STATUS_SECONDS
        if not is_old and _timeless(status) == _timeless(self._last):
            return
        written = await self._client.patch(
            Node, self._settings.node_name, "", {"status": status}, subresource="status", type="strategic"
        )
        self._revision = int(written["metadata"]["resourceVersion"])
        before = next((c["status"] for c in self._last.get("conditions", ()) if c["type"] == "Ready"), None)
        after = "False" if self._problem else "True"
        if before != after:
            log.info("node status", node=self._settings.node_name, ready=after, why=self._problem)
        self._last, self._written_at = status, now

    async def _status(self) -> Json:
        settings, machine = self._settings, self._machine
        pressure = await asyncio.to_thread(read_pressure, settings.data_dir)
        engine = self._engine or Engine("docker", "unknown")
        return {
            "capacity": _texts(capacity(machine, self._gpus, settings.max_pods)),
            "allocatable": _texts(allocatable(machine, self._gpus, settings.max_pods)),
            "conditions": node_conditions(pressure, self._problem, self._last.get("conditions") or [], clock.now()),
            "addresses": [
                {"type": "InternalIP", "address": settings.address},
                {"type": "Hostname", "address": settings.node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": {
                "machineID": machine.machine_id,
                "systemUUID": machine.system_uuid,
                "bootID": machine.boot_id,
                "kernelVersion": machine.kernel,
                "osImage": machine.os_image,
                "containerRuntimeVersion": f"{engine.name}://{engine.version}",
                "kubeletVersion": VERSION,
                "kubeProxyVersion": VERSION,
                "operatingSystem": "linux",
                "architecture": machine.architecture,
            },
            "images": await self._images(),
        }

    async def _images(self) -> list[Json]:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                images = await self._runtime.images()
        except (RuntimeFailure, TimeoutError):
            known: list[Json] = self._last.get("images") or []
            return known
        return [image_entry(image) for image in sorted(images, key=lambda image: -image.size_bytes)[:_MOST_IMAGES]]


def image_entry(image: Image) -> Json:
    """How a node lists an image."""
    return {"names": [*image.digests, *image.names], "sizeBytes": image.size_bytes}


def _texts(amounts: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def _timeless(status: Json) -> Json:
    """A status without what changes with every look."""
    return status | {
        "conditions": [
            {key: value for key, value in condition.items() if key not in ("lastHeartbeatTime", "message")}
            for condition in status.get("conditions") or ()
        ]
    }
