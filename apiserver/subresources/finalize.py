"""`namespaces/finalize`: the namespace controller's word that the room is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver import resources
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]


@subresource("namespaces/finalize", verbs=("update",), methods=("PATCH",))
async def finalize(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """PUT (or PATCH) of `spec.finalizers`; when none is left the namespace is gone."""
    write = resources.write_of(request, cls, "UPDATE")
    change = await resources.asked_change(request, cls, write)

    def finalized(current: Draft) -> Draft:
        wanted = change(current)
        finalizers = (wanted.get("spec") or {}).get("finalizers", [])
        version = wanted["metadata"].get("resourceVersion")
        result = {**current, "spec": {**(current.get("spec") or {}), "finalizers": finalizers}}
        result["metadata"] = {
            **current["metadata"],
            "resourceVersion": version or current["metadata"]["resourceVersion"],
            "managedFields": wanted["metadata"].get("managedFields"),
        }
        return result

    whole = await server.rest(cls).update(finalized, write)
    return resources.respond(server, request, cls, whole)
