"""The verbs on resources, as HTTP: from a request to the operations in `rest.py` and back. Kubernetes:
endpoints/handlers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.access.reviews import review_of
from apiserver.extensions.converted_watches import watch_converted
from apiserver.fairness.aside import HUGE_BYTES, aside, weight_of
from apiserver.reading.answering import told, written, written_list
from apiserver.reading.conversion import to_client, to_stored, whole_to_client
from apiserver.reading.listing import in_form, list_objects, selected, selection_of, version_of, wait_for
from apiserver.reading.negotiation import JSON, PROTOBUF, YAML, Representation, negotiate
from apiserver.reading.representation import one
from apiserver.reading.watching import watch_objects
from apiserver.request import Answer, Request, Response, Target, warning_headers
from apiserver.steps.authorization import attributes_of, refusal
from apiserver.writing.applying import is_apply, read_configuration
from apiserver.writing.authors import author_errors, author_of
from apiserver.writing.decoding import accept, check_kind, check_size, media_type_of, parse, source_of
from apiserver.writing.deletion import DeleteOptions
from apiserver.writing.patching import patch_function
from apiserver.writing.rest import Write, copy_of
from wherry.api.extensions.conversions import NotConverted
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery import protobuf
from wherry.machinery.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    invalid_object,
    not_found,
)
from wherry.machinery.field_errors import FieldError, not_supported
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_VALIDATIONS = ("Ignore", "Warn", "Strict")
_INCLUDES = ("", "None", "Metadata", "Object")
_ON_COLLECTIONS = ("list", "watch", "create", "deletecollection")


def target_of(request: Request) -> Target:
    """The target of a request that is known to have one."""
    if request.target is None:
        raise NotFound("the server could not find the requested resource", {})
    return request.target


def write_of(request: Request, cls: type[Resource], operation: str) -> Write:
    """What is common to all writes; raises Invalid for bad options, and for an answer that could not be given."""
    form_of(request, cls)
    target = target_of(request)
    errors: list[FieldError] = []
    dry_run = request.query.get("dryRun", [])
    if any(value != "All" for value in dry_run):
        errors.append(not_supported("dryRun", dry_run, ["All"]))
    validation = request.first("fieldValidation")
    if validation and validation not in _VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, _VALIDATIONS))
    errors += author_errors(request)
    if errors:
        options = {"CREATE": "Create", "UPDATE": "Update", "DELETE": "Delete"}[operation]
        options = "Patch" if request.method == "PATCH" else options
        raise invalid_object(f"{options}Options.meta.k8s.io", "", errors)
    subresource = target.subresource
    write = Write(
        cls,
        operation,
        target.namespace,
        target.name,
        request.user,
        subresource,
        bool(dry_run),
        request.warnings,
        request.annotations,
        request.query,
        request.method == "PATCH",
    )
    write.author = author_of(request, cls, subresource)
    return write


async def read_draft(request: Request, cls: type[Resource]) -> Draft:
    """The object in the body of a create or update."""
    body = await request.body()
    if not body.strip():
        raise BadRequest(f"the body of the request is empty; expected a {cls.kind.name}")
    request.weight = weight_of(body)
    return await aside(request.weight, _draft_in, body, request, cls)


def _draft_in(body: bytes, request: Request, cls: type[Resource]) -> Draft:
    content_type = request.header(b"content-type")
    draft = parse(body, content_type)
    check_kind(draft, cls)
    validation = request.first("fieldValidation", "Warn")
    source = source_of(body, content_type)
    accepted = accept(draft, cls, validation=validation, warnings=request.warnings, source=source)
    if request.weight >= HUGE_BYTES:
        check_size(accepted)
    return accepted


def form_of(request: Request, cls: type[Resource]) -> Representation:
    """The representation the client wants; raises NotAcceptable, or BadRequest for a bad `includeObject`.

    Reviews are told as they are: what is never stored has no tables.
    """
    include = request.first("includeObject")
    if include not in _INCLUDES:
        raise BadRequest(f"unrecognized includeObject value: {include[:64]!r}, expected None, Metadata or Object")
    return negotiate(request.header(b"accept"), forms=review_of(cls.kind) is None, offered=_offered(cls))


# Custom kinds come and go.
@lru_cache(maxsize=1024)
def _offered(cls: type[Resource]) -> tuple[str, ...]:
    """The media types of objects of a kind as they are."""
    has_message = not cls.kind.is_custom and protobuf.is_known(cls.kind.api_version, cls.kind.name)
    return (JSON, YAML, PROTOBUF) if has_message else (JSON, YAML)


def respond(server: Server, request: Request, cls: type[Resource], whole: bytes, status: int = 200) -> Response:
    """One object in the wanted form."""
    form = form_of(request, cls)
    try:
        body = one(cls, whole_to_client(whole, cls), form, server.now(), request.first("includeObject"))
    except NotConverted as missing:
        # What was written is written; only the answer must wait.
        missing.resume = lambda: _responded(server, request, cls, whole, status)
        raise
    return written(request, form, body, status)


async def _responded(server: Server, request: Request, cls: type[Resource], whole: bytes, status: int) -> Answer:
    return respond(server, request, cls, whole, status)


async def get(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET of one object."""
    target = target_of(request)
    version = version_of(request)
    if version is None:
        stored = await server.rest(cls).get(target.namespace, target.name)
    else:
        await wait_for(server, version)
        stored = server.rest(cls).cached(target.namespace, target.name)
    return respond(server, request, cls, stored.whole(cls.kind))


async def list_(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET of a collection."""
    form = form_of(request, cls)
    return await written_list(request, form, await list_objects(server, request, cls, form))


async def watch(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET of a collection with `watch=true`."""
    form = form_of(request, cls)
    if form.media_type == YAML:
        offered = ", ".join(f"{each};stream=watch" for each in _offered(cls) if each != YAML)
        raise NotAcceptable(f"only the following media types are accepted: {offered}")
    if issubclass(cls, CustomResource) and cls.declared.conversions is not None and cls.stored_as is not cls:
        stream = await watch_converted(server, request, cls, form)
    else:
        stream = await watch_objects(server, request, cls, form)
    content_type = f"{PROTOBUF};stream=watch" if form.is_protobuf else JSON
    return stream._replace(content_type=content_type.encode(), headers=warning_headers(request.warnings))


async def create(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """POST to a collection; a review is answered, not stored."""
    write = write_of(request, cls, "CREATE")
    draft = await read_draft(request, cls)
    write.weight = request.weight
    answer = review_of(cls.kind)
    if answer is not None:
        draft["status"] = await answer(server, request, draft)
        return respond(server, request, cls, orjson.dumps(draft), 201)
    whole = await server.rest(cls).create(to_stored(draft, cls), write)
    return respond(server, request, cls, whole, 201)


async def update(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """PUT of one object; some kinds are created if they are missing."""
    write = write_of(request, cls, "UPDATE")
    draft = await read_draft(request, cls)
    write.weight = request.weight
    check_name(draft, write)
    try:
        whole = await server.rest(cls).update(lambda _: copy_of(to_stored(draft, cls)), write)
    except NotFound:
        if not cls.create_on_update or write.subresource or draft["metadata"].get("uid"):
            raise
        _check_may_create(server, request)
        write.operation = "CREATE"
        draft["metadata"].pop("resourceVersion", None)
        return respond(server, request, cls, await server.rest(cls).create(to_stored(draft, cls), write), 201)
    return respond(server, request, cls, whole)


def _check_may_create(server: Server, request: Request) -> None:
    """What creates on the way needs the right to create."""
    wanted = attributes_of(request)._replace(verb="create")
    if not server.authorizer.decide(request.user, wanted).allowed:
        raise refusal(request.user, wanted)


def check_name(draft: Draft, write: Write) -> None:
    """The body of an update must name the object of the URL, or none."""
    metadata = draft["metadata"]
    if metadata.setdefault("name", write.name) != write.name:
        message = f"the name of the object ({metadata['name']}) does not match the name on the URL ({write.name})"
        raise BadRequest(message)
    namespace = metadata.get("namespace")
    if namespace and write.cls.kind.namespaced and namespace != write.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


async def asked_change(request: Request, cls: type[Resource], write: Write) -> Callable[[Draft], Draft]:
    """What the body of a PUT or PATCH makes of the object that is there, for subresources that take a part of it."""
    if request.method == "PATCH":
        return await patch_function(request, cls, write)
    draft = await read_draft(request, cls)
    write.weight = request.weight
    check_name(draft, write)
    return lambda _: draft


async def patch(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """PATCH of one object."""
    write = write_of(request, cls, "UPDATE")
    if is_apply(request):
        return await _apply(server, request, cls, write)
    write.accepted_since = server.accepted_since
    patched = await patch_function(request, cls, write)

    def change(current: Draft) -> Draft:
        return to_stored(patched(to_client(current, cls)), cls)

    return respond(server, request, cls, await server.rest(cls).update(change, write))


async def _apply(server: Server, request: Request, cls: type[Resource], write: Write) -> Answer:
    """Server-side apply, which creates what is not there."""
    config = await read_configuration(request, cls, write)

    def change(current: Draft) -> Draft:
        return to_stored(config.onto(to_client(current, cls)), cls)

    while True:
        try:
            return respond(server, request, cls, await server.rest(cls).update(change, write))
        except NotFound:
            if write.subresource:
                raise
        _check_may_create(server, request)
        begun = replace(write, operation="CREATE")
        try:
            whole = await server.rest(cls).create(to_stored(config.created(), cls), begun)
            return respond(server, request, cls, whole, 201)
        except AlreadyExists:
            continue  # somebody was faster


async def delete_options(request: Request) -> DeleteOptions:
    """The options of a DELETE: its body, or else its query."""
    body = await request.body()
    if body.strip():
        content_type = request.header(b"content-type")
        if media_type_of(content_type) == PROTOBUF:
            try:
                raw = protobuf.decode_delete_options(body)
            except ValueError as error:
                raise BadRequest(f"the object provided is unrecognized: {error}") from None
        else:
            raw = await aside(weight_of(body), parse, body, content_type)
        if raw.get("kind", "DeleteOptions") != "DeleteOptions":
            raise BadRequest(f"the object provided is unrecognized: expected DeleteOptions, got {raw['kind']!r}")
        return DeleteOptions.read(raw)
    raw = {"dryRun": request.query.get("dryRun", [])}
    if "propagationPolicy" in request.query:
        raw["propagationPolicy"] = request.first("propagationPolicy")
    if "gracePeriodSeconds" in request.query:
        text = request.first("gracePeriodSeconds")
        try:
            raw["gracePeriodSeconds"] = int(text[:20])
        except ValueError:
            raise BadRequest(f"gracePeriodSeconds: expected an integer, got {text[:64]!r}") from None
    if "orphanDependents" in request.query:
        raw["orphanDependents"] = request.flag("orphanDependents")
    return DeleteOptions.read(raw)


async def delete(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """DELETE of one object."""
    options = await delete_options(request)
    write = write_of(request, cls, "DELETE")
    write.dry_run = write.dry_run or options.dry_run
    whole, gone = await server.rest(cls).delete(options, write)
    if cls.delete_returns_object or not gone:
        return respond(server, request, cls, whole)
    uid = orjson.loads(whole)["metadata"]["uid"]
    details = {"name": write.name, "group": cls.kind.group, "kind": cls.kind.plural, "uid": uid}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    status["details"] = {key: value for key, value in details.items() if value}
    return told(request, status, headers=warning_headers(request.warnings))


async def delete_collection(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """DELETE of everything selected; answers with what was there."""
    options = await delete_options(request)
    target = target_of(request)
    namespace = target.namespace if cls.kind.namespaced else ""
    selection = selection_of(request, cls, namespace)
    revision = await server.cache.fresh()
    chosen = list(await selected(server, cls, selection))
    for stored in chosen:
        write = write_of(request, cls, "DELETE")
        write.namespace, write.name = stored.namespace, stored.name
        write.dry_run = write.dry_run or options.dry_run
        try:
            await server.rest(cls).delete(options, write)
        except ApiError as error:
            if error.code != 404:
                raise
    metadata = {"resourceVersion": str(revision)}
    form = form_of(request, cls)
    return await written_list(request, form, await in_form(server, request, cls, form, chosen, metadata))


async def serve(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Answer a request for a resource (not a subresource)."""
    target = target_of(request)
    operation = _OPERATIONS.get(request.verb)
    known = operation is not None and request.verb in cls.kind.verbs
    across = cls.kind.namespaced and not target.namespace
    if across and target.name:
        raise NotFound("the server could not find the requested resource", {})
    misplaced = bool(target.name) == (request.verb in _ON_COLLECTIONS)
    if operation is None or not known or misplaced or (across and request.verb not in ("list", "watch")):
        raise method_not_allowed()
    if target.namespace and not cls.kind.namespaced and cls.kind.plural != "namespaces":
        raise NotFound("the server could not find the requested resource", {})
    if len(target.name) > 512 or len(target.namespace) > 512 or "\0" in target.name + target.namespace:
        raise not_found(cls.kind.resource, target.name[:64])
    return await operation(server, request, cls)


def method_not_allowed() -> MethodNotAllowed:
    """The answer to a verb that the resource does not offer."""
    return MethodNotAllowed("the server does not allow this method on the requested resource", {})


_OPERATIONS = {
    "get": get,
    "list": list_,
    "watch": watch,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}
