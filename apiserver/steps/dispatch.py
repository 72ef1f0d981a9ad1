"""Last step: find who answers. Kubernetes surface: by the registry of kinds; everything else: the operational
FastAPI app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver import discovery, probes, resources
from apiserver.aggregation.passing_on import pass_on
from apiserver.extensions.converting import converted
from apiserver.metrics import serving as metrics
from apiserver.reading import components
from apiserver.request import Answer, Request, Response, Target, Upgrade
from apiserver.subresources import find_subresource
from apiserver.subresources.binding import bind_by_body
from apiserver.webhooks.connections import CONNECTIONS, admit_connection
from wherry.api.core.binding import Binding
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.errors import MethodNotAllowed, NotFound
from wherry.machinery.resource import Resource, kind_at

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def custom_kind(server: Server, request: Request, target: Target) -> type[Resource] | None:
    """The custom kind at a path; one that is going takes nothing new."""
    cls = server.custom.at(target.group, target.version, target.plural) or await server.custom.find(
        target.group, target.version, target.plural
    )
    if cls is not None and request.verb == "create" and cls.is_terminating:
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating", {})
    return cls


NO_SUCH_PATH = Response(404, b"404 page not found\n", b"text/plain; charset=utf-8")


async def dispatch(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Answer the request."""
    target = request.target
    remote = server.remotes.at(request.path)
    if remote is not None:
        return await pass_on(server, request, remote)
    if target is None:
        if request.path.startswith(("/api", "/apis", "/openapi")):
            return discovery.serve(server, request) or NO_SUCH_PATH
        return probes.serve(server, request) or Upgrade(server.operations)
    cls = kind_at(target.group, target.version, target.plural) or await custom_kind(server, request, target)
    if cls is None:
        if not discovery.is_served(server, target.group, target.version):
            return NO_SUCH_PATH
        raise NotFound("the server could not find the requested resource", {})
    if cls.deprecation:
        request.warnings.append(cls.deprecation)
        if not target.subresource or find_subresource(cls, target.subresource) is not None:
            server.counts.deprecated.add(
                (target.group, target.version, target.plural, target.subresource.partition("/")[0])
            )
    if metrics.is_measured(cls):
        return await metrics.serve(server, request, cls)
    if components.is_component(cls):
        return await components.serve(server, request)
    if cls is Binding and request.verb == "create" and target.namespace:
        return await bind_by_body(server, request)
    if issubclass(cls, CustomResource) and cls.declared.conversions is not None:
        return await converted(server, request, cls, lambda: _serve(server, request, cls, target))
    return await _serve(server, request, cls, target)


async def _serve(server: Server, request: Request, cls: type[Resource], target: Target) -> Answer:
    """Answer with the kind, or with a subresource of it."""
    if not target.subresource:
        return await resources.serve(server, request, cls)
    found = find_subresource(cls, target.subresource)
    if found is None or not target.name or (cls.kind.namespaced and not target.namespace):
        raise NotFound("the server could not find the requested resource", {})
    if request.scope["type"] == "http" and request.verb not in found.verbs and request.method not in found.methods:
        raise resources.method_not_allowed()
    if found.name in CONNECTIONS:
        await admit_connection(server, request, cls, found)
    return await found.serve(server, request, cls)
