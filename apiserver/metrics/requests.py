"""How many requests were answered, how fast, and who waited: the server's own counts, under Kubernetes' names.

Counting is on the way of every request, so it is a dictionary and a list of numbers; what Prometheus wants to read is
made of them when it asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apiserver.request import Answer, Request, Response, Target, Upgrade
from apiserver.storage.request_times import TIMES
from wherry.client.serving.counting import Histogram

if TYPE_CHECKING:
    from apiserver.server import Server

# Kubernetes: the buckets of apiserver_request_duration_seconds, the coarser half of them.
BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2, 4, 6, 10, 20, 60)
# Kubernetes: the buckets of apiserver_response_sizes.
SIZES = tuple(10.0**power for power in range(3, 10))
# Only so many sets of labels are kept apart: names of custom kinds, of subresources and of verbs are others' to choose.
MOST_LABELS = 5000


# Requests to these are connections, whatever their method.
_CONNECTIONS = ("exec", "attach", "portforward", "proxy")


class Labels(NamedTuple):
    """What requests are counted by; two say whether the path names an object and a namespace."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str
    has_name: bool
    has_namespace: bool
    is_dry: bool
    code: int

    def shown(self) -> list[str]:
        """As Kubernetes writes them, the code last."""
        verb = {"create": "POST", "update": "PUT"}.get(self.verb, self.verb.upper())
        verb = "CONNECT" if self.subresource in _CONNECTIONS else verb
        scope = (
            "resource" if self.has_name or self.verb == "create" else "namespace" if self.has_namespace else "cluster"
        )
        what = [self.group, self.version, self.resource, self.subresource, scope if self.resource else ""]
        return [verb, *what, "apiserver", "All" if self.is_dry else "", str(self.code)]


class Tally:
    """How long the answers to requests that are alike took, and how long they were themselves."""

    __slots__ = ("seconds", "sizes")

    def __init__(self) -> None:
        self.seconds, self.sizes = Histogram(BUCKETS), Histogram(SIZES)


class Counts:
    """The counts of one server, for each set of labels."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[Any, ...], Tally] = {}
        self.deprecated: set[tuple[str, str, str, str]] = set()
        self.running = 0

    def end(self, request: Request, answer: Answer | None, seconds: float, is_served: Callable[[Target], bool]) -> None:
        """A request is answered, or goes on as a stream; without an answer the client has left.

        What nobody serves is counted together.
        """
        self.running -= 1
        code = 499 if answer is None else 101 if isinstance(answer, Upgrade) else answer.status
        verb, target = request.verb, request.target
        if verb == "patch" and request.header(b"content-type").startswith("application/apply-patch"):
            verb = "apply"
        if target is None:
            key: tuple[Any, ...] = (verb, "", "", "", "", False, False, False, code)
        else:
            group, version, plural, namespace, name, subresource = target
            # A proxy's has the whole path behind it.
            subresource = subresource.partition("/")[0]
            is_dry = verb not in _READS and "dryRun" in request.query
            key = (verb, group, version, plural, subresource, bool(name), bool(namespace), is_dry, code)
        tally = self.tallies.get(key)
        if tally is None:
            if target is not None and not is_served(target):
                key = (verb, "", "", "", "", False, False, False, code)
            if len(self.tallies) >= MOST_LABELS:
                return
            tally = self.tallies.setdefault(key, Tally())
        tally.seconds.observe(seconds)
        if verb in _READS and isinstance(answer, Response):
            tally.sizes.observe(len(answer.body) + sum(map(len, answer.more)))


_READS = ("get", "list", "watch")
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component", "dry_run")


class Exposition:
    """A collector for prometheus_client. Who asks it says first how large the store is."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.store_bytes: int | None = None

    def collect(self) -> Iterator[Metric]:
        """Every family of metrics as it stands."""
        yield from self._requests()
        yield from self._levels()
        yield from self._objects()
        yield from self._watches()
        yield from self._admission()
        yield from self._health()
        yield from _storage(self.store_bytes)

    def _requests(self) -> Iterator[Metric]:
        counts = self._server.counts
        total = CounterMetricFamily("apiserver_request", "Requests answered.", labels=[*_LABELS, "code"])
        took = HistogramMetricFamily("apiserver_request_duration_seconds", "How long answers took.", labels=_LABELS)
        sizes = HistogramMetricFamily("apiserver_response_sizes", "Bytes of what was read.", labels=_LABELS[:-1])
        by_kind: dict[tuple[str, ...], Tally] = {}
        answered: Counter[tuple[str, ...]] = Counter()
        for key, tally in counts.tallies.items():
            shown = Labels(*key).shown()
            answered[tuple(shown)] += sum(tally.seconds.counts)
            together = by_kind.setdefault(tuple(shown[:-1]), Tally())
            together.seconds.include(tally.seconds)
            together.sizes.include(tally.sizes)
        for told, count in answered.items():
            total.add_metric(told, count)
        for kind, tally in by_kind.items():
            tally.seconds.add_to(took, kind)
            if tally.sizes.sum:
                tally.sizes.add_to(sizes, kind[:-1])
        yield from (total, took, sizes)
        running = GaugeMetricFamily(
            "apiserver_current_inflight_requests", "Requests under way.", labels=["request_kind"]
        )
        running.add_metric(["all"], counts.running)
        yield running
        labels = ["group", "version", "resource", "subresource", "removed_release"]
        deprecated = GaugeMetricFamily("apiserver_requested_deprecated_apis", "Old ones, asked for.", labels=labels)
        for what in sorted(counts.deprecated):
            deprecated.add_metric([*what, ""], 1)
        yield deprecated

    def _levels(self) -> Iterator[Metric]:
        prefix, labels = "apiserver_flowcontrol_", ["priority_level", "flow_schema"]
        dispatched = CounterMetricFamily(prefix + "dispatched_requests", "Requests that had their turn.", labels=labels)
        rejected = CounterMetricFamily(prefix + "rejected_requests", "Requests refused.", labels=[*labels, "reason"])
        waiting = GaugeMetricFamily(prefix + "current_inqueue_requests", "Requests that wait.", labels=labels)
        executing = GaugeMetricFamily(prefix + "current_executing_requests", "Requests under way.", labels=labels)
        taken = GaugeMetricFamily(prefix + "current_executing_seats", "Seats that are taken.", labels=labels)
        seats = GaugeMetricFamily(prefix + "nominal_limit_seats", "Seats of its own.", labels=labels[:1])
        for name, level in self._server.sharing.levels.items():
            seats.add_metric([name], level.nominal)
            running, queued = level.executing_by_schema(), level.waiting_by_schema()
            for schema in sorted({*self._server.sharing.schemas_of(level), *level.dispatched, *running, *queued}):
                dispatched.add_metric([name, schema], level.dispatched[schema])
                waiting.add_metric([name, schema], queued[schema])
                executing.add_metric([name, schema], running[schema])
                taken.add_metric([name, schema], running[schema])
            for (schema, reason), count in level.rejected.items():
                rejected.add_metric([name, schema, reason], count)
        yield from (dispatched, rejected, waiting, executing, taken, seats)

    def _admission(self) -> Iterator[Metric]:
        prefix, labels = "apiserver_admission_", ["name", "operation", "rejected", "type"]
        plugins = HistogramMetricFamily(
            prefix + "controller_admission_duration_seconds", "How long plugins took.", labels=labels
        )
        steps = HistogramMetricFamily(
            prefix + "step_admission_duration_seconds", "How long all of them took.", labels=labels[1:]
        )
        for told, took in self._server.admission.durations.told():
            if told[0]:
                took.add_to(plugins, told)
            else:
                took.add_to(steps, told[1:])
        yield from (plugins, steps)

    def _health(self) -> Iterator[Metric]:
        labels = ["name", "type"]
        state = GaugeMetricFamily("kubernetes_healthcheck", "What checks said at last.", labels=labels)
        said = CounterMetricFamily("kubernetes_healthchecks", "What checks said.", labels=[*labels, "status"])
        for check, (well, badly, is_good) in self._server.health.asked.items():
            state.add_metric(check, is_good)
            for status, count in (("success", well), ("error", badly)):
                if count:
                    said.add_metric([*check, status], count)
        yield from (state, said)

    def _objects(self) -> Iterator[Metric]:
        objects = GaugeMetricFamily("apiserver_storage_objects", "Objects that there are.", labels=["resource"])
        labels = ["group", "version", "kind"]
        watchers = GaugeMetricFamily("apiserver_registered_watchers", "Clients that watch.", labels=labels)
        lasting = GaugeMetricFamily("apiserver_longrunning_requests", "Watches under way.", labels=_LABELS[:-1])
        for cache in self._server.cache.all():
            kind = cache.cls.kind
            objects.add_metric([kind.resource], cache.count())
            watchers.add_metric([kind.group, kind.version, kind.name], len(cache.watchers))
            for scope, count in cache.watchers.by_scope().items():
                lasting.add_metric(["WATCH", kind.group, kind.version, kind.plural, "", scope, "apiserver"], count)
        yield from (objects, watchers, lasting)

    def _watches(self) -> Iterator[Metric]:
        labels = ["group", "version", "resource"]
        events = CounterMetricFamily("apiserver_watch_events", "Events that watchers were told.", labels=labels)
        sizes = HistogramMetricFamily("apiserver_watch_events_sizes", "Their bytes.", labels=labels)
        for cache in self._server.cache.all():
            kind, told = cache.cls.kind, cache.watchers.told
            if told.sum:
                events.add_metric([kind.group, kind.version, kind.plural], sum(told.counts))
                told.add_to(sizes, [kind.group, kind.version, kind.plural])
        yield from (events, sizes)


def _storage(size: int | None) -> Iterator[Metric]:
    held = GaugeMetricFamily(
        "apiserver_storage_size_bytes", "Bytes that the store takes.", labels=["storage_cluster_id"]
    )
    if size is not None:
        held.add_metric(["etcd-0"], size)
    yield held
    took = HistogramMetricFamily("etcd_request_duration_seconds", "How long etcd took.", labels=["operation", "type"])
    for labels, histogram in TIMES.items():
        histogram.add_to(took, labels)
    yield took
