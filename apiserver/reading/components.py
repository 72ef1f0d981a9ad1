"""GET of `componentstatuses`: do the scheduler, the controllers and the store answer? Kubernetes: ComponentStatus REST.

Differs: the scheduler and the controllers are judged by the Leases that they renew, not asked at their ports. One that
is alone and renews none is well while it watches this server; else it is Unknown, as it may watch another server.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import resources
from apiserver.reading.answering import written
from apiserver.reading.representation import many
from apiserver.request import Answer, Request
from wherry.api.coordination.lease import Lease, LeaseSpec
from wherry.api.core.component_status import ComponentStatus
from wherry.machinery.errors import NotFound, not_found
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Json = dict[str, Any]
_LEASES = {"scheduler": "kube-scheduler", "controller-manager": "kube-controller-manager"}
_UNSEEN = "it holds no Lease and watches nothing on this server"
# The store has just answered: every read waits for it.
_COMPONENTS = (*_LEASES, "etcd-0")


def is_component(cls: type[Resource]) -> bool:
    """Whether these objects are asked for when they are read."""
    return cls is ComponentStatus


async def serve(server: Server, request: Request) -> Answer:
    """Answer a request for the components' health."""
    target = resources.target_of(request)
    if request.verb not in ComponentStatus.kind.verbs or bool(target.name) != (request.verb == "get"):
        raise resources.method_not_allowed()
    if target.subresource or target.namespace:
        raise NotFound("the server could not find the requested resource", {})
    await server.cache.fresh()
    if request.verb == "get":
        if target.name not in _COMPONENTS:
            raise not_found(ComponentStatus.kind.resource, target.name)
        return resources.respond(server, request, ComponentStatus, _told(server, target.name))
    form = resources.form_of(request, ComponentStatus)
    items = (_told(server, name) for name in _COMPONENTS)
    body = many(ComponentStatus, items, {}, form, server.now(), request.first("includeObject"))
    return written(request, form, body)


def _problem(server: Server, component: str) -> str | None:
    """Why a component does not seem to run; empty if it does, None where nobody can tell."""
    stored = server.cache.of(Lease).get("kube-system", _LEASES[component])
    spec = Lease.read(stored.item).spec if stored is not None else LeaseSpec()
    if not spec.holder_identity:
        # Who watches while nobody holds the Lease leads alone, or is about to take it.
        watches = any(watcher.user == f"system:{_LEASES[component]}" for watcher in server.watching)
        return "" if watches else None
    if spec.renew_time is None:
        return f"Lease {_LEASES[component]} was never renewed"
    silent = server.now() - spec.renew_time
    if silent > timedelta(seconds=spec.lease_duration_seconds):
        return f"Lease {_LEASES[component]} was last renewed {int(silent.total_seconds())}s ago"
    return ""


def _told(server: Server, name: str) -> bytes:
    problem = _problem(server, name) if name in _LEASES else ""
    healthy = {"type": "Healthy", "status": "True", "message": "ok"}
    condition = {"type": "Healthy", "status": "False", "error": problem} if problem else healthy
    if problem is None:
        condition = {"type": "Healthy", "status": "Unknown", "message": _UNSEEN}
    told: Json = {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
    return orjson.dumps(told)
