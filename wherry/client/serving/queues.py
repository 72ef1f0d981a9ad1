"""What Prometheus reads of work queues. Kubernetes: the `workqueue_*` metrics of client-go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from wherry.client.workqueue import WorkQueue


def of_queues(queues: Mapping[str, WorkQueue], now: float) -> Iterator[Metric]:
    """The families of queues by their names; `now` is the loop's time."""
    adds = CounterMetricFamily("workqueue_adds", "Keys that came to wait.", labels=["name"])
    retries = CounterMetricFamily("workqueue_retries", "Keys that came again after a failure.", labels=["name"])
    depth = GaugeMetricFamily("workqueue_depth", "Keys that wait.", labels=["name"])
    unfinished = GaugeMetricFamily("workqueue_unfinished_work_seconds", "Work begun so far.", labels=["name"])
    longest = GaugeMetricFamily("workqueue_longest_running_processor_seconds", "The longest.", labels=["name"])
    waited = HistogramMetricFamily("workqueue_queue_duration_seconds", "How long keys waited.", labels=["name"])
    worked = HistogramMetricFamily("workqueue_work_duration_seconds", "How long they took.", labels=["name"])
    for name, queue in queues.items():
        running = [now - begun for begun in queue.held_since]
        for family, value in (
            *((adds, queue.adds), (retries, queue.retries), (depth, len(queue))),
            *((unfinished, sum(running)), (longest, max(running, default=0.0))),
        ):
            family.add_metric([name], value)
        queue.waited.add_to(waited, [name])
        queue.worked.add_to(worked, [name])
    yield from (adds, retries, depth, unfinished, longest, waited, worked)
