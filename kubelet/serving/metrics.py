"""What Prometheus reads of a kubelet, under Kubernetes' names: of itself, of probes, of containers, of the node.

Made when it is asked for, of what the kubelet knows anyway and of a look at the kernel's counters. Kubernetes:
pkg/kubelet/metrics, prober, the resource metrics and cAdvisor. Differs: of cAdvisor's families those about cpu, memory
and network; a container's `id` does not tell its cgroup driver.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from kubelet.charge import Charge
from kubelet.resources.machine import read_machine
from kubelet.runtime.base import State, Usage
from kubelet.runtime.cgroups import Traffic
from kubelet.runtime.counted import Operations
from kubelet.serving.disks import disks_of, of_claims
from kubelet.serving.stats import NODE, Look, Stats, running_containers, started_at
from wherry import __version__
from wherry.client.http import Client
from wherry.client.serving.counting import exposition
from wherry.client.serving.requests import of_requests

if TYPE_CHECKING:
    from kubelet.server import Charges

_STATES = {State.CREATED: "created", State.RUNNING: "running", State.EXITED: "exited"}
_SECOND = 10**9
# Linux' period for shares of a cpu; Kubernetes: the same.
_PERIOD_MICROS = 100_000


class Container(NamedTuple):
    """A running container, what it has used, and since when (seconds since 1970)."""

    charge: Charge
    name: str
    id: str
    image: str
    usage: Usage
    since: float

    @property
    def place(self) -> list[str]:
        """Container, namespace, pod."""
        pod = self.charge.pod.metadata
        return [self.name, pod.namespace, pod.name]


_PLACE = ["container", "namespace", "pod"]


class Metrics:
    """See the module."""

    def __init__(self, charges: Charges, stats: Stats, client: Client | None = None) -> None:
        self._charges, self._stats, self._client = charges, stats, client

    async def of_kubelet(self) -> str:
        """`/metrics`: of the process, and how much it has to do."""
        inventory = await self._charges.runtime.inventory()
        states = Counter(_STATES[record.state] for record in inventory.containers)
        pods = {record.pod.uid for record in inventory.sandboxes if record.state is State.RUNNING}
        build = GaugeMetricFamily("kubernetes_build_info", "What this is.", labels=["git_version"])
        build.add_metric([f"wherry-{__version__}"], 1)
        node = GaugeMetricFamily("kubelet_node_name", "Whose kubelet it is.", labels=["node"])
        node.add_metric([self._charges.node_name], 1)
        running = GaugeMetricFamily("kubelet_running_containers", "Containers there are.", labels=["container_state"])
        for state in _STATES.values():
            running.add_metric([state], states[state])
        desired = GaugeMetricFamily("kubelet_desired_pods", "Pods that should run.", labels=["static"])
        desired.add_metric(["false"], len(self._charges.charges()))
        families = [build, node, GaugeMetricFamily("kubelet_running_pods", "Pods that run.", len(pods)), running]
        requests = of_requests(self._client) if self._client is not None else ()
        charges = self._charges.charges()
        disks = await asyncio.to_thread(lambda: [disk for charge in charges for disk in disks_of(charge)])
        own = (*families, desired, *_operations(self._charges.operations), *of_claims(disks))
        return exposition([*own, *requests], of_process=True)

    async def of_probes(self) -> str:
        """`/metrics/probes`: how the probes of running containers turned out, and how long they took."""
        total = CounterMetricFamily(
            "prober_probe", "Probes answered.", labels=["probe_type", "result", *_PLACE, "pod_uid"]
        )
        took = HistogramMetricFamily(
            "prober_probe_duration_seconds", "How long probes took.", labels=["probe_type", *_PLACE]
        )
        for charge in self._charges.charges():
            pod = charge.pod.metadata
            for (container, kind), tally in charge.probe_tallies.items():
                place = [container, pod.namespace, pod.name]
                for result, count in tally.results.items():
                    total.add_metric([kind, result, *place, pod.uid], count)
                tally.seconds.add_to(took, [kind, *place])
        return exposition([total, took])

    async def of_resources(self) -> str:
        """`/metrics/resource`: what metrics-server asks for."""
        look = await self._stats.look()
        at, containers = look.time.timestamp(), list(self._containers(look))
        cpu = CounterMetricFamily("container_cpu_usage_seconds", "Cpu time used.", labels=_PLACE)
        memory = GaugeMetricFamily("container_memory_working_set_bytes", "Memory in use.", labels=_PLACE)
        since = GaugeMetricFamily("container_start_time_seconds", "When it started.", labels=_PLACE)
        pods: dict[tuple[str, ...], list[int]] = {}
        for each in containers:
            cpu.add_metric(each.place, each.usage.cpu_nanos / _SECOND, timestamp=at)
            memory.add_metric(each.place, each.usage.memory_bytes, timestamp=at)
            since.add_metric(each.place, each.since)
            sums = pods.setdefault(tuple(each.place[1:]), [0, 0])
            sums[:] = sums[0] + each.usage.cpu_nanos, sums[1] + each.usage.memory_bytes
        pod_cpu = CounterMetricFamily("pod_cpu_usage_seconds", "Cpu time used.", labels=_PLACE[1:])
        pod_memory = GaugeMetricFamily("pod_memory_working_set_bytes", "Memory in use.", labels=_PLACE[1:])
        for pod, (nanos, used) in pods.items():
            pod_cpu.add_metric(pod, nanos / _SECOND, timestamp=at)
            pod_memory.add_metric(pod, used, timestamp=at)
        node_cpu = CounterMetricFamily("node_cpu_usage_seconds", "Cpu time used.", labels=())
        node_memory = GaugeMetricFamily("node_memory_working_set_bytes", "Memory in use.", labels=())
        if NODE in look.used:
            node_cpu.add_metric((), look.used[NODE].cpu_nanos / _SECOND, timestamp=at)
            node_memory.add_metric((), look.used[NODE].memory_bytes, timestamp=at)
        went_wrong = [GaugeMetricFamily(f"{name}scrape_error", "0.", 0) for name in ("", "resource_")]
        return exposition([cpu, memory, since, pod_cpu, pod_memory, node_cpu, node_memory, *went_wrong])

    async def of_containers(self) -> str:
        """`/metrics/cadvisor`."""
        look = await self._stats.look()
        containers = list(self._containers(look))
        families = [*_measures(containers, look), *_specified(containers), *_traffic(self._charges.charges(), look)]
        machine = read_machine(self._charges.settings.data_dir)
        cores = GaugeMetricFamily("machine_cpu_cores", "Cpus of the node.", machine.cpus)
        return exposition(
            [*families, cores, GaugeMetricFamily("machine_memory_bytes", "Its memory.", machine.memory_bytes)]
        )

    def _containers(self, look: Look) -> Iterator[Container]:
        for charge in self._charges.charges():
            for status, id in running_containers(charge):
                if id in look.used:
                    since = started_at(status).timestamp()
                    yield Container(charge, status["name"], id, status["image"], look.used[id], since)


def _operations(operations: Operations) -> Iterator[Metric]:
    """What the container runtime was asked for, how long it took and how often it failed."""
    name = "kubelet_runtime_operations"
    total = CounterMetricFamily(name, "Operations of the runtime.", labels=["operation_type"])
    errors = CounterMetricFamily(f"{name}_errors", "Those that failed.", labels=["operation_type"])
    took = HistogramMetricFamily(f"{name}_duration_seconds", "How long they took.", labels=["operation_type"])
    for operation, seconds in operations.seconds.items():
        total.add_metric([operation], sum(seconds.counts))
        seconds.add_to(took, [operation])
    for operation, count in operations.errors.items():
        errors.add_metric([operation], count)
    yield from (total, errors, took)


_MEASURES: tuple[tuple[type[Metric], str, Callable[[Usage], float]], ...] = (
    (CounterMetricFamily, "cpu_usage_seconds", lambda used: used.cpu_nanos / _SECOND),
    (CounterMetricFamily, "cpu_user_seconds", lambda used: used.user_nanos / _SECOND),
    (CounterMetricFamily, "cpu_system_seconds", lambda used: used.system_nanos / _SECOND),
    (CounterMetricFamily, "cpu_cfs_periods", lambda used: used.periods),
    (CounterMetricFamily, "cpu_cfs_throttled_periods", lambda used: used.throttled_periods),
    (CounterMetricFamily, "cpu_cfs_throttled_seconds", lambda used: used.throttled_nanos / _SECOND),
    (GaugeMetricFamily, "memory_working_set_bytes", lambda used: used.memory_bytes),
    (GaugeMetricFamily, "memory_usage_bytes", lambda used: used.charged_bytes),
    (GaugeMetricFamily, "memory_rss", lambda used: used.rss_bytes),
    (GaugeMetricFamily, "memory_cache", lambda used: used.cache_bytes),
)
_LABELS = [*_PLACE, "id", "image", "name"]
_OF_NODE = ["", "", "", "/", "", ""]


def _measures(containers: list[Container], look: Look) -> Iterator[Metric]:
    """What was used: by each container, and by the node as the group `/`, of which less is known."""
    rows = [(_labels(each), each.usage) for each in containers]
    for family, name, value in _MEASURES:
        more = ["cpu"] if name == "cpu_usage_seconds" else []
        metric = family(f"container_{name}", "Of a container.", labels=[*_LABELS, *more])  # type: ignore[call-arg]
        if NODE in look.used and name in ("cpu_usage_seconds", "memory_working_set_bytes"):
            _add(metric, [*_OF_NODE, *("total" for _ in more)], value(look.used[NODE]))
        for labels, usage in rows:
            _add(metric, [*labels, *("total" for _ in more)], value(usage))
        yield metric


def _specified(containers: list[Container]) -> Iterator[Metric]:
    """Since when containers run, and their limits; those without have no sample, or 0 for memory."""
    since = GaugeMetricFamily("container_start_time_seconds", "When it started.", labels=_LABELS)
    memory = GaugeMetricFamily("container_spec_memory_limit_bytes", "Its limit.", labels=_LABELS)
    quota = GaugeMetricFamily("container_spec_cpu_quota", "Its limit, in microseconds.", labels=_LABELS)
    period = GaugeMetricFamily("container_spec_cpu_period", "Of so many.", labels=_LABELS)
    for each in containers:
        known = each.charge.container(each.name)
        limits = known.resources.limits if known else {}
        since.add_metric(_labels(each), each.since)
        memory.add_metric(_labels(each), limits["memory"].value if "memory" in limits else 0)
        if "cpu" in limits:
            quota.add_metric(_labels(each), limits["cpu"].millis * _PERIOD_MICROS // 1000)
            period.add_metric(_labels(each), _PERIOD_MICROS)
    yield from (since, memory, quota, period)


def _traffic(charges: Iterable[Charge], look: Look) -> Iterator[Metric]:
    """What pods with a network of their own received and sent."""
    labels = ["interface", "namespace", "pod", "id"]
    ways = {
        f"container_network_{way}_{what}": CounterMetricFamily(
            f"container_network_{way}_{what}", "Of a pod.", labels=labels
        )
        for way in ("receive", "transmit")
        for what in ("bytes", "packets", "errors", "packets_dropped")
    }
    for charge in charges:
        pod = charge.pod.metadata
        for interface, traffic in look.traffic.get(pod.uid, {}).items():
            for metric, value in zip(ways.values(), _counts(traffic), strict=True):
                metric.add_metric([interface, pod.namespace, pod.name, f"/kubepods/pod{pod.uid}"], value)
    yield from ways.values()


def _counts(traffic: Traffic) -> tuple[int, ...]:
    return (*traffic.received, *traffic.sent)


def _labels(each: Container) -> list[str]:
    return [*each.place, f"/kubepods/pod{each.charge.uid}/{each.id}", each.image, each.id]


def _add(metric: Metric, labels: list[str], value: float) -> None:
    metric.add_metric(labels, value)  # type: ignore[attr-defined]
