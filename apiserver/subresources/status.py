"""`/status`: where controllers and nodes write what they observe. Kubernetes: the status strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver import resources
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server


@subresource("*/status", verbs=("get", "patch", "update"))
async def status(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET, PUT and PATCH of the status; a spec in the body is ignored."""
    if request.verb == "get":
        return await resources.get(server, request, cls)
    if request.verb == "update":
        return await resources.update(server, request, cls)
    return await resources.patch(server, request, cls)
