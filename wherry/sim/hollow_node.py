"""HollowNode: a node without a machine. To everyone else in the cluster it is a node like any other.

    node = HollowNode(client, "node-1", HollowMachine(number=1, gpus=fake_gpus("node-1", 8)))
    group.create_task(node.run())              # cancel the task, and the node has died

It registers its Node, renews its Lease, and says of each pod what its fate is (`Fate`): pods get an address and run,
those deleted are gone once they had their time. It has no containers: logs and exec are not to be had, and what
pods use is what their annotations say (wherry/api/metrics/declared.py).

Kubernetes: kubemark's hollow nodes. Differs: containers do not restart, and pods reach no network.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network

import structlog

from wherry.api.coordination.lease import Lease
from wherry.api.coordination.node_loss import KUBERNETES
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import MEMORY, RESOURCE, Gpu, memory_of
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.client.batches import Deletions
from wherry.client.device_slices import Publisher
from wherry.client.http import Client, delete_options
from wherry.client.informer import Change, Informer
from wherry.client.workqueue import WorkQueue
from wherry.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from wherry.machinery.quantity import Format, Quantity
from wherry.machinery.time import micro_time_text, time_text
from wherry.sim.hollow_pod import Fate, Json, Play, hollow_status, usual_fate

log = structlog.get_logger()

CAPACITY = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
LEASE_NAMESPACE = "kube-node-lease"
STATUS_SECONDS = 300.0
FIRST_RETRY_SECONDS, RETRY_SECONDS = 0.1, 1.0
VERSION = "v1.37.0+wherry"
_NODE_INFO = {
    "architecture": "amd64",
    "operatingSystem": "linux",
    "osImage": "none (a hollow node)",
    "kernelVersion": "none",
    "containerRuntimeVersion": "hollow://1",
    "kubeletVersion": VERSION,
    "kubeProxyVersion": VERSION,
    "bootID": "hollow",
    "machineID": "hollow",
    "systemUUID": "hollow",
}
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ("Ready", "True", "KubeletReady"),
)
_ENDS = (Fate.SUCCEEDS, Fate.FAILS)
_HOSTS, _PODS = IPv4Network("172.16.0.0/12"), IPv4Network("10.128.0.0/9")


@dataclass(frozen=True)
class HollowMachine:
    """What the node pretends to be. `number` decides its addresses: nodes of one cluster have different ones.

    Pods take so many seconds until they run, and until they are gone when deleted.
    """

    number: int = 0
    capacity: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 0.0
    stop_seconds: float = 0.0
    # Renewed four times as often.
    lease_seconds: int = KUBERNETES.lease_seconds

    @property
    def host_ip(self) -> str:
        """The node's own address."""
        return str(_HOSTS[self.number + 1])

    @property
    def network(self) -> IPv4Network:
        """Where its pods' addresses come from."""
        return IPv4Network((int(_PODS[0]) + self.number * 256, 24))


class HollowNode:
    """See the module. `pods` is an informer of pods that several nodes share; without, it watches its own.

    Whoever shares it tells each node of the changes of its pods (`notice`), also before the node runs. Nodes that share
    `deletions` have pods of all of them deleted with one request.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        machine: HollowMachine | None = None,
        *,
        play: Play = usual_fate,
        pods: Informer[Pod] | None = None,
        deletions: Deletions | None = None,
    ) -> None:
        self.name = name
        self.machine = machine or HollowMachine()
        self._client, self._publisher = client, Publisher(client, name)
        self._play, self._deletions = play, deletions or Deletions(client)
        self._own_informer = Informer(client, Pod, fields=f"spec.nodeName={name}") if pods is None else None
        self._pods: Informer[Pod] = pods or self._own_informer  # type: ignore[assignment]
        self._queue = WorkQueue()
        self._heard_at = math.inf
        self._addresses: dict[str, str] = {}
        # When a pod that starts or stops will be done with it, by uid and which of the two.
        self._done_at: dict[tuple[str, str], float] = {}
        self.is_registered = asyncio.Event()

    async def run(self) -> None:
        """Be a node until cancelled."""
        if self._own_informer is not None:
            self._own_informer.subscribe(self.notice)
        await self._persistently(self._register)
        async with asyncio.TaskGroup() as group:
            if self._own_informer is not None:
                group.create_task(self._own_informer.run(), name=f"pods of {self.name}")
            group.create_task(self._every(self.machine.lease_seconds / 4, self._renew), name=f"lease of {self.name}")
            group.create_task(self._keep_reporting(), name=f"status of {self.name}")
            group.create_task(self._work(), name=f"worker of {self.name}")

    # -- the node ----------------------------------------------------------------------------------------------------

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again; a Node that somebody deleted is registered anew."""
        while True:
            try:
                await act()
                await asyncio.sleep(seconds)
            except NotFound:
                await self._persistently(self._register)
            except ApiError as error:
                log.warning("hollow node not heard", node=self.name, error=error.message)
                await asyncio.sleep(RETRY_SECONDS)

    async def _keep_reporting(self) -> None:
        await asyncio.sleep(STATUS_SECONDS)  # registering was a report
        await self._every(STATUS_SECONDS, self._report)

    async def _persistently(self, act: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, RETRY_SECONDS)
        while True:
            try:
                return await act()
            except ApiError as error:
                log.warning("hollow node not registered", node=self.name, error=error.message)
                await asyncio.sleep(backoff.next())

    async def _register(self) -> None:
        own = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        labels = {**own, **self.machine.labels}
        cidr = str(self.machine.network)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}}
        try:
            await self._client.create({**node, "spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})
        except AlreadyExists:
            await self._client.patch(Node, self.name, "", {"metadata": {"labels": labels}})
        self._publisher.forget()
        await self._report()
        self.is_registered.set()

    async def become(self, machine: HollowMachine) -> None:
        """Change what it has, and tell: a card that breaks, or one that works again."""
        self.machine = machine
        await self._persistently(self._report)

    async def _report(self) -> None:
        if self.machine.gpus:
            await self._publisher.publish(self.machine.gpus)
        node = await self._client.get(Node, self.name)
        status = node_status(self.machine, node, clock.now())
        await self._client.patch(Node, self.name, "", {"status": status}, subresource="status")

    async def _renew(self) -> None:
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": self.machine.lease_seconds}
        renewal = {"spec": {**spec, "renewTime": micro_time_text(clock.now())}}
        try:
            await self._client.patch(Lease, self.name, LEASE_NAMESPACE, renewal)
        except NotFound:
            node = await self._client.get(Node, self.name)
            owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node.metadata.uid}
            metadata = {"name": self.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            kind = {"apiVersion": Lease.kind.api_version, "kind": Lease.kind.name}
            await self._client.create({**kind, "metadata": metadata, **renewal})
        now = asyncio.get_running_loop().time()
        silent_seconds, self._heard_at = now - self._heard_at, now
        if silent_seconds > self.machine.lease_seconds:
            await self._report()  # by now it may be called dead, and nobody else will take that back

    # -- its pods ----------------------------------------------------------------------------------------------------

    def notice(self, change: Change[Pod]) -> None:
        """Learn that a pod came, changed or went; those of other nodes are none of its business."""
        pod = change.after or change.before
        if pod is None or pod.spec.node_name != self.name:
            return
        if change.after is None:
            self._addresses.pop(pod.metadata.uid, None)
            for what in ("start", "stop"):
                self._done_at.pop((pod.metadata.uid, what), None)
        else:
            if pod.status.pod_ip:
                self._addresses[pod.metadata.uid] = pod.status.pod_ip
            self._queue.add(pod.key)

    async def _work(self) -> None:
        await self._pods.synced()
        try:
            while True:
                key = await self._queue.get()
                try:
                    await self._attend(key)
                    self._queue.forget(key)
                except (Conflict, NotFound):
                    self._queue.forget(key)  # it changed under us: the watch brings it again, or it is gone
                except ApiError as error:
                    log.warning("hollow pod not attended", node=self.name, pod=key, error=error.message)
                    self._queue.add_rate_limited(key)
                finally:
                    self._queue.done(key)
        finally:
            self._queue.close()

    async def _attend(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is None:
            return
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if pod.metadata.deleted_at is not None:
            if self._is_busy(pod, "stop", self.machine.stop_seconds):
                return
            await self._deletions.delete(pod, delete_options(uid=pod.metadata.uid, grace_seconds=0))
        elif not pod.is_finished:
            fate = self._play(pod)
            is_new = not pod.status.container_statuses
            if _shows(pod, fate) or (is_new and self._is_busy(pod, "start", self.machine.start_seconds)):
                return
            status = hollow_status(pod, fate, self.machine.host_ip, self._address_of(pod), clock.now())
            metadata = {"uid": pod.metadata.uid}
            await self._client.patch(
                Pod, name, namespace, {"metadata": metadata, "status": status}, subresource="status"
            )

    def _is_busy(self, pod: Pod, what: str, seconds: float) -> bool:
        """Whether that takes longer; then the pod is attended again when it is over."""
        now = asyncio.get_running_loop().time()
        left = self._done_at.setdefault((pod.metadata.uid, what), now + seconds) - now
        if left > 0:
            self._queue.add_after(pod.key, left)
        return left > 0

    def _address_of(self, pod: Pod) -> str:
        if pod.spec.host_network:
            return self.machine.host_ip
        if pod.metadata.uid not in self._addresses:
            taken = set(self._addresses.values())
            free = (text for address in self.machine.network.hosts() if (text := str(address)) not in taken)
            # A full network is a full node: the scheduler counts pods, this one counts addresses.
            self._addresses[pod.metadata.uid] = next(free, "")
        return self._addresses[pod.metadata.uid]


def _shows(pod: Pod, fate: Fate) -> bool:
    """Whether the pod's status says its fate already, for this generation of it."""
    if not pod.status.container_statuses or pod.status.observed_generation != pod.metadata.generation:
        return False
    waits = any(status.state.waiting for status in pod.status.container_statuses)
    return pod.status.ready is (fate is Fate.READY) and waits is (fate is Fate.NO_IMAGE) and fate not in _ENDS


def node_status(machine: HollowMachine, node: Node, now: datetime) -> Json:
    """The status, as JSON, of a node that has no trouble at all; pure."""
    cards = _offered(machine.gpus) if machine.gpus else {}
    capacity = {**CAPACITY, **cards, **machine.capacity}
    healthy = _offered([gpu for gpu in machine.gpus if gpu.is_healthy]) if machine.gpus else {}
    before = {condition.type: condition for condition in node.status.conditions}
    conditions = []
    for type, status, reason in _CONDITIONS:
        old = before.get(type)
        since = old.last_transition_time if old is not None and old.status == status else None
        times = {"lastHeartbeatTime": time_text(now), "lastTransitionTime": time_text(since or now)}
        conditions.append({"type": type, "status": status, "reason": reason, "message": "", **times})
    addresses = [
        {"type": "InternalIP", "address": machine.host_ip},
        {"type": "Hostname", "address": node.metadata.name},
    ]
    seen = {"capacity": capacity, "allocatable": {**capacity, **healthy}, "conditions": conditions}
    return {**seen, "addresses": addresses, "nodeInfo": _NODE_INFO}


def _offered(gpus: Sequence[Gpu]) -> Json:
    memory = Quantity.from_value(memory_of(gpus), Format.BINARY_SI)
    return {RESOURCE: str(len(gpus)), MEMORY: memory.canonical()}
