"""Asks the API server for the numbers that autoscalers look at: resource metrics, custom metrics, external metrics.

Kubernetes: the controller's metrics client. What cannot be had is an answer too, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.autoscaling.seen import Missing, Sample, Samples
from wherry.api.autoscaling.metric_views import CrossVersionObjectReference, MetricIdentifier, MetricSpec
from wherry.api.meta import Selector
from wherry.api.metrics.usage_metrics import PodMetrics
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, NotFound
from wherry.machinery.quantity import Quantity
from wherry.machinery.time import parse_time

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
_BY_RESOURCE = ("Resource", "ContainerResource")
# How long the adapters of Kubernetes measure when they do not say.
_WINDOW_SECONDS = 60.0


class MetricSources:
    """See the module."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def usage(self, specs: tuple[MetricSpec, ...], namespace: str, selector: str) -> Any:
        """What the selected pods use, if a metric is about that: a tuple of PodMetrics, or Missing."""
        if not any(spec.type in _BY_RESOURCE for spec in specs):
            return ()
        try:
            return tuple((await self._client.list(PodMetrics, namespace, labels=selector)).items)
        except ApiError as error:
            return Missing(error.message)

    async def values(
        self, specs: tuple[MetricSpec, ...], namespace: str, selector: str
    ) -> dict[int, Samples | int | Missing]:
        """What other APIs say, by the place of the metric in the spec."""
        found: dict[int, Samples | int | Missing] = {}
        for place, spec in enumerate(specs):
            if spec.type not in _BY_RESOURCE:
                try:
                    found[place] = await self._value(spec, namespace, selector)
                except (ApiError, ValueError, KeyError, TypeError, AttributeError) as error:
                    api = "external" if spec.external is not None else "custom"
                    why = error.message if isinstance(error, ApiError) else f"an answer of no known form: {error!r}"
                    found[place] = Missing(f"unable to fetch metrics from {api} metrics API: {why}")
        return found

    async def _value(self, spec: MetricSpec, namespace: str, selector: str) -> Samples | int | Missing:
        if spec.external is not None:
            return await self._external(spec.external.metric, namespace)
        root = await self._custom_root()
        if spec.pods is not None:
            query = {"labelSelector": selector, "metricLabelSelector": _text(spec.pods.metric.selector)}
            listed = await self._items(f"{root}/namespaces/{namespace}/pods/*/{spec.pods.metric.name}", query)
            if not listed:
                return Missing("unable to fetch metrics from custom metrics API: no metrics returned")
            return {item["describedObject"]["name"]: _sample(item) for item in listed}
        if spec.object is None:
            return Missing("the metric names no source")
        place = await self._place(spec.object.described_object, namespace)
        query = {"metricLabelSelector": _text(spec.object.metric.selector)}
        [item] = await self._items(f"{root}/{place}/{spec.object.metric.name}", query)
        return _sample(item).millis

    async def _external(self, metric: MetricIdentifier, namespace: str) -> int | Missing:
        path = f"/apis/{EXTERNAL}/v1beta1/namespaces/{namespace}/{metric.name}"
        try:
            listed = await self._items(path, {"labelSelector": _text(metric.selector)})
        except NotFound:
            why = f"the server could not find the requested resource (get {metric.name}.{EXTERNAL})"
            return Missing(f"unable to fetch metrics from external metrics API: {why}")
        if not listed:
            return Missing("no metrics returned from external metrics API")
        return sum(_sample(item).millis for item in listed)

    async def _custom_root(self) -> str:
        try:
            group = await self._client.request("GET", f"/apis/{CUSTOM}")
        except NotFound:
            raise NotFound(f"no custom metrics API ({CUSTOM}) registered") from None
        return f"/apis/{group['preferredVersion']['groupVersion']}"

    async def _place(self, described: CrossVersionObjectReference, namespace: str) -> str:
        if described.kind == "Namespace":
            return f"namespaces/{described.name}/metrics"
        kind = await self._client.kind_of({"apiVersion": described.api_version or "v1", "kind": described.kind})
        within = f"namespaces/{namespace}/" if kind.namespaced else ""
        return f"{within}{kind.resource}/{described.name}"

    async def _items(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._client.request("GET", path, query=query))["items"]
        return items


def _sample(item: Mapping[str, Any]) -> Sample:
    at = parse_time(item["timestamp"]) if item.get("timestamp") else None
    return Sample(Quantity.parse(item["value"]).millis, at, float(item.get("windowSeconds") or _WINDOW_SECONDS))


def _text(selector: Selector | None) -> str:
    return "" if selector is None else str(selector)
