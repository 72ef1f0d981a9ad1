"""`/scale`: the number of replicas of anything that has them, in one shape. Kubernetes: autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import resources
from apiserver.matching.attributes import Facet, Names
from apiserver.request import Answer, Request, Response
from apiserver.subresources.base import subresource
from apiserver.writing.applying import is_apply, read_configuration
from apiserver.writing.patching import patch_function
from apiserver.writing.rest import Write
from wherry.api.autoscaling.scale import Scale
from wherry.api.meta import Selector
from wherry.machinery.errors import conflict, invalid_object
from wherry.machinery.field_errors import invalid
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_CARRIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(parent: Draft) -> Draft:
    """The Scale of an object."""
    spec, status = parent.get("spec") or {}, parent.get("status") or {}
    selector = spec.get("selector") or {}
    # That of a ReplicationController is a plain map of labels.
    is_plain = all(isinstance(value, str) for value in selector.values())
    text = str(Selector({"matchLabels": selector} if is_plain else selector)) if selector else ""
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: parent["metadata"][key] for key in _CARRIED if key in parent["metadata"]},
        "spec": {"replicas": spec.get("replicas", 1)} if spec.get("replicas", 1) else {},
        "status": {"replicas": status.get("replicas", 0), "selector": text},
    }


@subresource("*/scale", verbs=("get", "patch", "update"), kind=("autoscaling", "v1", "Scale"))
async def scale(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET, PUT and PATCH of the scale."""
    target = resources.target_of(request)
    if request.verb == "get":
        stored = await server.rest(cls).get(target.namespace, target.name)
        return _respond(server, request, stored.draft(cls.kind))
    write = resources.write_of(request, cls, "UPDATE")
    write.subresource, write.facet = "", _FACET
    if is_apply(request):
        return _respond(
            server, request, orjson.loads(await server.rest(cls).update(await _applied(request, write), write))
        )
    if request.verb == "patch":
        change = await patch_function(request, Scale, write)
    else:
        wanted = await resources.read_draft(request, Scale)
        resources.check_name(wanted, write)

        def change(_: Draft) -> Draft:
            return wanted

    def scaled(parent: Draft) -> Draft:
        before = scale_of(parent)
        wished = change(before)
        replicas = (wished.get("spec") or {}).get("replicas", 0)
        version = wished["metadata"].get("resourceVersion")
        if version and version != parent["metadata"]["resourceVersion"]:
            raise conflict(cls.kind.resource, write.name)
        if replicas < 0:
            error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid_object("Scale.autoscaling", write.name, [error])
        parent.setdefault("spec", {})["replicas"] = replicas
        return parent

    return _respond(server, request, orjson.loads(await server.rest(cls).update(scaled, write)))


def _set(parent: Draft, scale: Draft) -> None:
    parent.setdefault("spec", {})["replicas"] = (scale.get("spec") or {}).get("replicas", 0)


_FACET = Facet("scale", "UPDATE", Names("autoscaling", "v1", "Scale"), scale_of, _set)


async def _applied(request: Request, write: Write) -> Callable[[Draft], Draft]:
    """An apply of a Scale, as an apply to the parent of the one field that a Scale has of it."""
    given = await read_configuration(request, Scale, write)
    metadata = {word: given.draft["metadata"][word] for word in _CARRIED if word in given.draft["metadata"]}
    kind = write.cls.kind
    parent: Draft = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
    if "replicas" in (given.draft.get("spec") or {}):
        parent["spec"] = {"replicas": given.draft["spec"]["replicas"]}
    return given._replace(cls=write.cls, draft=parent).onto


def _respond(server: Server, request: Request, parent: Draft) -> Response:
    return resources.respond(server, request, Scale, orjson.dumps(scale_of(parent)))
