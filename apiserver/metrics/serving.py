"""GET of `nodes` and `pods` in `metrics.k8s.io/v1beta1`: what the chosen objects of the core group use.

Labels and fields are those of the nodes and pods themselves. Kubernetes: metrics-server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import resources
from apiserver.metrics.readings import Used
from apiserver.reading.answering import written
from apiserver.reading.listing import selection_of
from apiserver.reading.representation import many
from apiserver.reading.stored import Stored
from apiserver.request import Answer, Request
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.metrics.usage_metrics import NodeMetrics, PodMetrics, cpu_text, memory_text
from wherry.machinery.errors import not_found
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

if TYPE_CHECKING:
    from apiserver.server import Server

Json = dict[str, Any]
_MEASURED: dict[type[Resource], type[Resource]] = {NodeMetrics: Node, PodMetrics: Pod}


def is_measured(cls: type[Resource]) -> bool:
    """Whether objects of this kind are measured and not stored."""
    return cls in _MEASURED


async def serve(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Answer a request for metrics."""
    target = resources.target_of(request)
    if request.verb not in cls.kind.verbs or bool(target.name) != (request.verb == "get"):
        raise resources.method_not_allowed()
    if target.subresource or (target.namespace and not cls.kind.namespaced):
        raise not_found(cls.kind.resource, target.name)
    await server.cache.fresh()
    form = resources.form_of(request, cls)
    if request.verb == "get":
        name = f"{target.namespace}/{target.name}" if cls.kind.namespaced else target.name
        stored = server.cache.of(_MEASURED[cls]).get(target.namespace, target.name)
        found = await _measured(server, cls, [stored] if stored is not None else [])
        if not found:
            raise not_found(f"{cls.kind.name.lower()}.{cls.kind.group}", name)
        head = {"kind": cls.kind.name, "apiVersion": cls.kind.api_version}
        return resources.respond(server, request, cls, orjson.dumps({**head, **found[0]}))
    selection = selection_of(request, _MEASURED[cls], target.namespace)
    chosen = selection.chosen(list(server.cache.of(_MEASURED[cls]).objects(target.namespace)))
    items = (orjson.dumps(item) for item in await _measured(server, cls, chosen))
    return written(request, form, many(cls, items, {}, form, server.now(), request.first("includeObject")))


async def _measured(server: Server, cls: type[Resource], chosen: Iterable[Stored]) -> list[Json]:
    """The metrics of those of the chosen objects that were measured."""
    if cls is NodeMetrics:
        named = {stored.name: stored for stored in chosen}
        readings = await server.usage.readings(named)
        nodes = ((named[name], reading.node) for name, reading in readings.items())
        return [_node(stored, used, server.now()) for stored, used in nodes if used is not None]
    placed = [(stored, stored.fields.get("spec.nodeName", "")) for stored in chosen]
    readings = await server.usage.readings({node for _, node in placed if node})
    found = []
    for stored, node in placed:
        containers = readings[node].pods.get((stored.namespace, stored.name)) if node in readings else None
        if containers:
            found.append(_pod(stored, containers, server.now()))
    return found


def _node(stored: Stored, used: Used, now: datetime) -> Json:
    return {"metadata": _metadata(stored, now), **_window([used]), "usage": _usage(used)}


def _pod(stored: Stored, containers: Mapping[str, Used], now: datetime) -> Json:
    listed = [{"name": name, "usage": _usage(used)} for name, used in containers.items()]
    return {"metadata": _metadata(stored, now), **_window(containers.values()), "containers": listed}


def _metadata(stored: Stored, now: datetime) -> Json:
    metadata = {"name": stored.name, "namespace": stored.namespace, "creationTimestamp": time_text(now)}
    return {key: value for key, value in (*metadata.items(), ("labels", stored.labels)) if value}


def _window(measured: Iterable[Used]) -> Json:
    """The earliest of the measurements speaks for all. The window is written as Go writes a duration."""
    oldest = min(measured, key=lambda used: used.at)
    return {"timestamp": time_text(oldest.at), "window": f"{round(oldest.window_seconds, 3):g}s"}


def _usage(used: Used) -> Json:
    return {"cpu": cpu_text(used.nano_cores), "memory": memory_text(used.memory_bytes)}
