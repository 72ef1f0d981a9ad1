"""What of a pod changes while it runs: `pods/ephemeralcontainers` adds containers to look into it (`kubectl debug`),
`pods/resize` gives its containers more or less of the machine. Kubernetes: EphemeralContainersREST, ResizeREST.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from apiserver import resources
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
# From the specs that is and that is wanted to the one that will be.
_Choice = Callable[[Draft, Draft], Draft]
_VERBS = ("get", "patch", "update")


@subresource("pods/ephemeralcontainers", verbs=_VERBS)
async def ephemeral_containers(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET, PUT and PATCH; of the body only the ephemeral containers count."""
    return await _serve(server, request, cls, _with_added)


@subresource("pods/resize", verbs=_VERBS)
async def resize(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET, PUT and PATCH; of the body only the containers' resources count."""
    return await _serve(server, request, cls, _with_resources)


async def _serve(server: Server, request: Request, cls: type[Resource], choose: _Choice) -> Answer:
    if request.verb == "get":
        return await resources.get(server, request, cls)
    write = resources.write_of(request, cls, "UPDATE")
    change = await resources.asked_change(request, cls, write)

    def changed(current: Draft) -> Draft:
        # A patch may change what it is given.
        wanted, metadata = change(deepcopy(current)), current["metadata"]
        version = {"resourceVersion": wanted["metadata"].get("resourceVersion", "")}
        spec = choose(current["spec"], wanted.get("spec") or {})
        return {**current, "metadata": {**metadata, **version, **_managed(wanted["metadata"])}, "spec": spec}

    return resources.respond(server, request, cls, await server.rest(cls).update(changed, write))


def _managed(metadata: Draft) -> Draft:
    return {"managedFields": metadata["managedFields"]} if "managedFields" in metadata else {}


def _with_added(now: Draft, wanted: Draft) -> Draft:
    return {**now, "ephemeralContainers": wanted.get("ephemeralContainers") or []}


def _with_resources(now: Draft, wanted: Draft) -> Draft:
    result = dict(now)
    for kind in ("containers", "initContainers"):
        asked = {each.get("name"): each for each in wanted.get(kind) or ()}
        if now.get(kind):
            result[kind] = [_resized(each, asked.get(each["name"], each)) for each in now[kind]]
    return result


def _resized(container: Draft, wanted: Draft) -> Draft:
    rest = {key: value for key, value in container.items() if key != "resources"}
    return rest | ({"resources": wanted["resources"]} if "resources" in wanted else {})
