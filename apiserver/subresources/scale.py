"""`/scale`: the number of replicas of anything that has them, in one shape. Kubernetes: autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import resources
from apiserver.matching.attributes import Facet, Names
from apiserver.reading.conversion import to_client, to_stored
from apiserver.request import Answer, Request, Response
from apiserver.subresources.base import subresource
from apiserver.writing.applying import is_apply, read_configuration
from apiserver.writing.patching import patch_function
from apiserver.writing.rest import Write
from wherry.api.autoscaling.scale import Scale
from wherry.api.extensions.definition_views import ScalePaths
from wherry.api.meta import Selector
from wherry.machinery import jsonpath
from wherry.machinery.errors import NotFound, conflict, invalid_object
from wherry.machinery.field_errors import invalid
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_CARRIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(parent: Draft, cls: type[Resource]) -> Draft:
    """The Scale of an object."""
    paths: ScalePaths | None = getattr(cls, "scale_paths", None)
    if paths is not None:
        return _custom_scale(parent, paths)
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
        return _respond(server, request, cls, to_client(stored.draft(cls.kind), cls))
    write = resources.write_of(request, cls, "UPDATE")
    write.subresource, write.facet = "", _facet(cls)
    if is_apply(request):
        return _respond(
            server, request, cls, orjson.loads(await server.rest(cls).update(await _applied(request, write), write))
        )
    if request.verb == "patch":
        change = await patch_function(request, Scale, write)
    else:
        wanted = await resources.read_draft(request, Scale)
        resources.check_name(wanted, write)

        def change(_: Draft) -> Draft:
            return wanted

    def scaled(parent: Draft) -> Draft:
        before = scale_of(parent, cls)
        wished = change(before)
        replicas = (wished.get("spec") or {}).get("replicas", 0)
        version = wished["metadata"].get("resourceVersion")
        if version and version != parent["metadata"]["resourceVersion"]:
            raise conflict(cls.kind.resource, write.name)
        if replicas < 0:
            error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid_object("Scale.autoscaling", write.name, [error])
        _set_replicas(parent, cls, replicas)
        return to_stored(parent, cls)

    whole = await server.rest(cls).update(lambda current: scaled(to_client(current, cls)), write)
    return _respond(server, request, cls, to_client(orjson.loads(whole), cls))


def _facet(cls: type[Resource]) -> Facet:
    """The Scale that an admission sees instead of the parent."""

    def set_replicas(parent: Draft, scale: Draft) -> None:
        _set_replicas(parent, cls, (scale.get("spec") or {}).get("replicas", 0))

    def read(parent: Draft) -> Draft:
        return scale_of(parent, cls)

    return Facet("scale", "UPDATE", Names("autoscaling", "v1", "Scale"), read, set_replicas)


async def _applied(request: Request, write: Write) -> Callable[[Draft], Draft]:
    """An apply of a Scale, as an apply to the parent of the one field that a Scale has of it."""
    given = await read_configuration(request, Scale, write)
    metadata = {word: given.draft["metadata"][word] for word in _CARRIED if word in given.draft["metadata"]}
    kind = write.cls.kind
    parent: Draft = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
    if "replicas" in (given.draft.get("spec") or {}):
        _set_replicas(parent, write.cls, given.draft["spec"]["replicas"])
    return given._replace(cls=write.cls, draft=parent).onto


def _respond(server: Server, request: Request, cls: type[Resource], parent: Draft) -> Response:
    return resources.respond(server, request, Scale, orjson.dumps(scale_of(parent, cls)))


def _custom_scale(parent: Draft, paths: ScalePaths) -> Draft:
    wanted = jsonpath.first(jsonpath.parse(paths.spec_replicas_path), parent)
    if wanted is None:
        text = f'the spec replicas field "{paths.spec_replicas_path}" does not exist'
        raise NotFound(text, {})
    status: Draft = {"replicas": jsonpath.first(jsonpath.parse(paths.status_replicas_path), parent) or 0}
    if paths.label_selector_path:
        status["selector"] = jsonpath.first(jsonpath.parse(paths.label_selector_path), parent) or ""
    metadata = {key: parent["metadata"][key] for key in _CARRIED if key in parent["metadata"]}
    spec = {"replicas": wanted} if wanted else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _set_replicas(parent: Draft, cls: type[Resource], replicas: int) -> None:
    paths: ScalePaths | None = getattr(cls, "scale_paths", None)
    steps = jsonpath.parse(paths.spec_replicas_path if paths else ".spec.replicas")
    *folders, last = [step.name for step in steps if isinstance(step, jsonpath.Key)]
    place = parent
    for name in folders:
        place = place.setdefault(name, {})
    place[last] = replicas
