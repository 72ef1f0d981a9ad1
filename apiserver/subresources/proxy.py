"""`pods/proxy`, `services/proxy`, `nodes/proxy`: HTTP to what runs in the cluster, for whoever may.

    kubectl get --raw /api/v1/namespaces/shop/services/http:web:80/proxy/health

Every method and every path is passed on, and so are WebSockets and other upgrades. What Kubernetes leaves to the name
of a well-known port, `pods/web:http/proxy`, is here the name of one of the pod's own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from apiserver import resources
from apiserver.proxying.forwarding import Onward, redirect_to_root
from apiserver.proxying.places import Place, place_of_node, place_of_pod, place_of_service
from apiserver.request import Answer, Request, Target
from apiserver.subresources.base import subresource
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

_VERBS = ("create", "delete", "get", "patch", "update")
_METHODS = ("OPTIONS",)
# What a path may hold as it is, besides letters, digits and `_.-~`.
_PLAIN = "/:@!$&'()*+,;="


@subresource("pods/proxy", verbs=_VERBS, kind=("", "v1", "PodProxyOptions"), methods=_METHODS)
async def pods_proxy(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Anything, to a port of a pod."""
    return await _passed_on(server, request, place_of_pod)


@subresource("services/proxy", verbs=_VERBS, kind=("", "v1", "ServiceProxyOptions"), methods=_METHODS)
async def services_proxy(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Anything, to one of the pods behind a service."""
    return await _passed_on(server, request, place_of_service)


@subresource("nodes/proxy", verbs=_VERBS, kind=("", "v1", "NodeProxyOptions"), methods=_METHODS)
async def nodes_proxy(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Anything, to a node's kubelet or another of its ports."""
    return await _passed_on(server, request, place_of_node)


async def _passed_on(
    server: Server, request: Request, place_of: Callable[[Server, Target], Awaitable[Place]]
) -> Answer:
    target = resources.target_of(request)
    place = await place_of(server, target)
    prefix, path = _split(request, target)
    if not path and "upgrade" not in request.header(b"connection").lower():
        redirect = redirect_to_root(request)
        if redirect is not None:
            return redirect
    return await server.forwarding.answer(request, Onward(place, path or "/", prefix))


def _split(request: Request, target: Target) -> tuple[str, str]:
    """Our part of the path and the backend's.

    What is escaped there need not be is written plainly, slashes too: the official Python client escapes every slash.
    """
    raw = (request.scope.get("raw_path") or request.path.encode()).partition(b"?")[0].decode("latin-1")
    ours = 7 if target.namespace else 5  # /api/v1[/namespaces/shop]/pods/web/proxy
    found = re.match(rf"(?:/+[^/]+){{{ours}}}", raw)
    prefix = found[0] if found else raw
    return prefix, quote(unquote_to_bytes(raw[len(prefix) :]), safe=_PLAIN)
