"""The numbers of pods out of what the resource metrics API said. Kubernetes: the controller's metrics client."""

from __future__ import annotations

from controllers.autoscaling.pods import Unmeasured
from controllers.autoscaling.seen import Missing, Sample, Seen
from wherry.api.metrics.usage_metrics import Amounts, PodMetrics


def samples_of(seen: Seen, resource: str, container: str) -> dict[str, Sample]:
    """What each pod, or one container of each, uses; pods of which that is not known are left out."""
    why = f"unable to get metrics for resource {resource}: "
    if isinstance(seen.usage, Missing):
        raise Unmeasured(f"{why}unable to fetch metrics from resource metrics API: {seen.usage.why}")
    if not seen.usage:
        raise Unmeasured(f"{why}no metrics returned from resource metrics API")
    found: dict[str, Sample] = {}
    for pod in seen.usage:
        millis = _one_container(pod, resource, container) if container else _all_containers(pod, resource)
        if millis is not None:
            found[pod.metadata.name] = Sample(millis, pod.timestamp, _seconds(pod.window))
    return found


def _all_containers(pod: PodMetrics, resource: str) -> int | None:
    amounts = [_millis(each.usage, resource) for each in pod.containers]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _one_container(pod: PodMetrics, resource: str, container: str) -> int | None:
    usage = next((each.usage for each in pod.containers if each.name == container), None)
    if usage is None:
        where = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        raise Unmeasured(
            f"unable to get metrics for resource {resource}: container {container} not present in metrics for {where}"
        )
    return _millis(usage, resource)


def _millis(usage: Amounts, resource: str) -> int | None:
    amount = usage.get(resource)
    return None if amount is None else amount.millis


def _seconds(window: str) -> float:
    """A duration of Go such as `15s`; metrics-server's own are of seconds.

    >>> _seconds("12.5s"), _seconds("1m0s"), _seconds("")
    (12.5, 60.0, 60.0)
    """
    minutes, _, rest = window.rpartition("m")
    try:
        return float(minutes or 0) * 60 + float(rest.removesuffix("s"))
    except ValueError:
        return 60.0
