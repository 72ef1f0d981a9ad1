"""How many requests were answered, how fast, and who waited: the server's own counts, under Kubernetes' names.

Counting is on the way of every request, so it is a dictionary and a list of numbers; what Prometheus wants to read is
made of them when it asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apiserver.request import Request

if TYPE_CHECKING:
    from apiserver.server import Server

# Kubernetes: the buckets of apiserver_request_duration_seconds, the coarser half of them.
BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2, 4, 6, 10, 20, 60)
# Paths are the clients' to choose: only so many sets of labels are kept apart.
MOST_LABELS = 5000


class Labels(NamedTuple):
    """What requests are counted by."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str
    scope: str


class Counts:
    """The counts of one server."""

    def __init__(self) -> None:
        self.totals: dict[tuple[Labels, int], int] = {}
        self.durations: dict[Labels, list[float]] = {}  # one number for each bucket, one for more, and the sum
        self.running = 0

    def end(self, request: Request, code: int, seconds: float) -> None:
        """A request is answered, or goes on as a stream."""
        self.running -= 1
        labels = labels_of(request)
        key = (labels, code)
        if key not in self.totals and len(self.totals) >= MOST_LABELS:
            return
        self.totals[key] = self.totals.get(key, 0) + 1
        durations = self.durations.get(labels)
        if durations is None:
            durations = self.durations[labels] = [0.0] * (len(BUCKETS) + 2)
        durations[bisect_left(BUCKETS, seconds)] += 1
        durations[-1] += seconds


def labels_of(request: Request) -> Labels:
    """A request as it is counted; paths that are no resources are counted together."""
    target = request.target
    verb = request.verb.upper()
    if target is None:
        return Labels(verb, "", "", "", "", "")
    subresource = target.subresource.partition("/")[0]
    scope = "resource" if target.name else "namespace" if target.namespace else "cluster"
    verb = {"CREATE": "POST", "UPDATE": "PUT"}.get(verb, verb)
    return Labels(verb, target.group, target.version, target.plural, subresource, scope)


class Exposition:
    """A collector for prometheus_client."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """Every family of metrics as it stands."""
        yield from self._requests()
        yield from self._levels()

    def _requests(self) -> Iterator[Metric]:
        counts = self._server.counts
        total = CounterMetricFamily("apiserver_request", "Requests answered.", labels=[*Labels._fields, "code"])
        for (labels, code), count in counts.totals.items():
            total.add_metric([*labels, str(code)], count)
        yield total
        took = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "How long answers took.", labels=Labels._fields
        )
        for labels, numbers in counts.durations.items():
            cumulated, buckets = 0.0, []
            for bound, number in zip((*map(str, BUCKETS), "+Inf"), numbers[:-1], strict=True):
                cumulated += number
                buckets.append((bound, cumulated))
            took.add_metric(list(labels), buckets, numbers[-1])
        yield took
        running = GaugeMetricFamily(
            "apiserver_current_inflight_requests", "Requests under way.", labels=["request_kind"]
        )
        running.add_metric(["all"], counts.running)
        yield running
        lasting = GaugeMetricFamily("apiserver_longrunning_requests", "Watches under way.", labels=["verb"])
        lasting.add_metric(["WATCH"], len(self._server.watching))
        yield lasting

    def _levels(self) -> Iterator[Metric]:
        prefix, label = "apiserver_flowcontrol_", ["priority_level"]
        dispatched = CounterMetricFamily(prefix + "dispatched_requests", "Requests that had their turn.", labels=label)
        rejected = CounterMetricFamily(prefix + "rejected_requests", "Requests refused.", labels=[*label, "reason"])
        waiting = GaugeMetricFamily(prefix + "current_inqueue_requests", "Requests that wait.", labels=label)
        executing = GaugeMetricFamily(prefix + "current_executing_requests", "Requests under way.", labels=label)
        seats = GaugeMetricFamily(prefix + "nominal_limit_seats", "Seats of its own.", labels=label)
        for name, level in self._server.sharing.levels.items():
            dispatched.add_metric([name], level.dispatched)
            waiting.add_metric([name], level.waiting)
            executing.add_metric([name], level.executing)
            seats.add_metric([name], level.nominal)
            for reason, count in level.rejected.items():
                rejected.add_metric([name, reason], count)
        yield from (dispatched, rejected, waiting, executing, seats)
