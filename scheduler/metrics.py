"""How the scheduler fares, as Prometheus reads it. Kubernetes: pkg/scheduler/metrics, the names that dashboards use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.queue import Queue, State
from wherry.client.serving.counting import Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
# Kubernetes: 1 ms to 16 s for an attempt, 10 ms to a bit more than five hours for a pod.
_ATTEMPT_BOUNDS = tuple(0.001 * 2.0**power for power in range(15))
_POD_BOUNDS = tuple(0.01 * 2.0**power for power in range(20))
_MOST_ATTEMPTS = 15
_QUEUES = {
    State.GATED: "gated",
    State.ACTIVE: "active",
    State.BACKING_OFF: "backoff",
    State.UNSCHEDULABLE: "unschedulable",
}


class Counts:
    """What happened so far. Times are those of the loop."""

    def __init__(self) -> None:
        self.attempts: dict[tuple[str, str], Histogram] = {}
        self.pods: dict[int, Histogram] = {}
        self._on_their_way: dict[str, tuple[int, float]] = {}

    def attempted(self, result: str, profile: str, seconds: float) -> None:
        """A pod was tried."""
        histogram = self.attempts.get((result, profile))
        if histogram is None:
            histogram = self.attempts[result, profile] = Histogram(_ATTEMPT_BOUNDS)
        histogram.observe(seconds)

    def sent(self, uid: str, attempts: int, since: float) -> None:
        """A pod has a node and is to be bound to it."""
        self._on_their_way[uid] = attempts, since

    def bound(self, uid: str, now: float, *, is_well: bool) -> None:
        """The binding was made, or was not."""
        attempts, since = self._on_their_way.pop(uid, (0, now))
        if is_well and attempts:
            number = min(attempts, _MOST_ATTEMPTS)
            self.pods.setdefault(number, Histogram(_POD_BOUNDS)).observe(now - since)


def families(queue: Queue, counts: Counts) -> Iterator[Metric]:
    """Everything as it stands."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    pending = GaugeMetricFamily("scheduler_pending_pods", "Pods that wait.", labels=["queue"])
    states = Counter(queue.states())
    for state, name in _QUEUES.items():
        pending.add_metric([name], states[state])
    total = CounterMetricFamily("scheduler_schedule_attempts", "Attempts.", labels=["result", "profile"])
    took = HistogramMetricFamily(
        "scheduler_scheduling_attempt_duration_seconds", "How long attempts took.", labels=["result", "profile"]
    )
    for key, histogram in counts.attempts.items():
        total.add_metric(key, sum(histogram.counts))
        histogram.add_to(took, key)
    pods = HistogramMetricFamily(
        "scheduler_pod_scheduling_sli_duration_seconds", "From the queue to the node.", labels=["attempts"]
    )
    for number, histogram in sorted(counts.pods.items()):
        histogram.add_to(pods, [f"{number}+" if number == _MOST_ATTEMPTS else str(number)])
    yield from (pending, total, took, pods)
