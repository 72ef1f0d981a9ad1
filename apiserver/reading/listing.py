"""LIST: selectors, pages, versions. Kubernetes: GetList, `resourceVersion` and `resourceVersionMatch` semantics.

A list without continue token is answered from the watch cache once that is current. Later pages show the version of
the first one, so all pages show one moment: out of what the cache remembers of it, or else from the store's history.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from apiserver import keys
from apiserver.extensions.converting import convert_stored
from apiserver.fairness.slices import others_first
from apiserver.reading.conversion import is_converted, item_to_client, stored_fields
from apiserver.reading.negotiation import Representation
from apiserver.reading.representation import many_in_pieces, many_in_protobuf
from apiserver.reading.selection import Selection, chosen_in_slices
from apiserver.reading.stored import Stored
from apiserver.request import Request
from apiserver.storage.store import Compacted
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.errors import BadRequest, Expired, Timeout, invalid_object
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported
from wherry.machinery.resource import Resource
from wherry.machinery.selectors import parse_field_selector, parse_label_selector

if TYPE_CHECKING:
    from apiserver.server import Server

# How long a request for a version that does not exist yet waits. Kubernetes: 3 s.
FUTURE_SECONDS = 3.0
PAGE = 1000
# To gather more objects than this takes a turn of its own.
MANY = 2000


def selection_of(request: Request, cls: type[Resource], namespace: str) -> Selection:
    """The selectors of a request; raises BadRequest for what cannot be selected by."""
    try:
        labels = parse_label_selector(request.first("labelSelector"))
        fields = parse_field_selector(request.first("fieldSelector"))
    except ValueError as error:
        raise BadRequest(
            f"unable to parse requirement: {error}".replace("unable to parse requirement: unable", "unable")
        ) from None
    known = {"metadata.name", "metadata.namespace", *cls.selectable}
    for name in sorted(fields.names - known):
        if cls.selectable:
            raise BadRequest(f"field label not supported: {name}")
        raise BadRequest(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    return Selection(namespace, labels, stored_fields(fields, cls))


def version_of(request: Request) -> int | None:
    """The resourceVersion parameter: None when unset."""
    text = request.first("resourceVersion")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        error = invalid("resourceVersion", text, f'strconv.ParseUint: parsing "{text[:64]}": invalid syntax')
        raise BadRequest(f"Invalid value: {error.message}")
    return int(text)


async def wait_for(server: Server, version: int) -> None:
    """Wait until the cache is at least at `version`; raises Timeout when nobody wrote it in time."""
    if version <= server.cache.applied:
        return
    try:
        await asyncio.wait_for(server.cache.reaches(version), FUTURE_SECONDS)
    except TimeoutError:
        current = server.cache.applied
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        message = f"Timeout: Too large resource version: {version}, current: {current}"
        raise Timeout(message, {"causes": causes, "retryAfterSeconds": 1}) from None


async def list_objects(server: Server, request: Request, cls: type[Resource], form: Representation) -> list[bytes]:
    """The body of a LIST, in pieces if it is long."""
    target = request.target
    namespace = target.namespace if target and cls.kind.namespaced else ""
    selection = selection_of(request, cls, namespace)
    limit = _number(request, "limit")
    token = request.first("continue")
    match = request.first("resourceVersionMatch")
    version = version_of(request)
    _check(match, version, token, has_initial="sendInitialEvents" in request.query)

    stored: Iterable[Stored]
    if token:
        stored, metadata = await _page(server, cls, selection, limit, _decode_token(token))
    elif match == "Exact" or (version and limit and not match):
        stored, metadata = await _page(server, cls, selection, limit, _Place(version or 0, "", None))
    else:
        stored, metadata = await _newest(server, cls, selection, limit, version)
    return await in_form(server, request, cls, form, stored, metadata)


async def in_form(
    server: Server,
    request: Request,
    cls: type[Resource],
    form: Representation,
    stored: Iterable[Stored],
    metadata: dict[str, Any],
) -> list[bytes]:
    """A list of these objects in the wanted form, in pieces."""
    stored = list(stored)  # as it is now, although others write while it is encoded
    items = (item_to_client(each.item, cls) for each in stored) if is_converted(cls) else (each.item for each in stored)
    if form.is_protobuf:
        return await many_in_protobuf(cls, items, metadata, form)
    return await many_in_pieces(cls, items, metadata, form, server.now(), request.first("includeObject"))


async def _newest(
    server: Server, cls: type[Resource], selection: Selection, limit: int, version: int | None
) -> tuple[Iterable[Stored], dict[str, Any]]:
    if version is None:
        await server.cache.fresh()
    elif version:
        await wait_for(server, version)
    if server.cache.of(cls).count(selection.namespace) > MANY:
        await others_first()
    revision = server.cache.applied
    found = await selected(server, cls, selection)
    if not limit or version == 0:
        return found, {"resourceVersion": str(revision)}
    page: list[Stored] = []
    for each in found:
        if len(page) == limit:
            there = server.cache.of(cls).count(selection.namespace) if selection.is_plain else None
            return page, _continued(cls, page, _Place(revision, "", there))
        page.append(each)
    return page, {"resourceVersion": str(revision)}


async def selected(server: Server, cls: type[Resource], selection: Selection) -> Iterable[Stored]:
    """What there is now of it."""
    cache = server.cache.of(cls)
    name = selection.fields.required("metadata.name")
    if name is not None and (selection.namespace or not cls.kind.namespaced):
        stored = cache.get(selection.namespace, name)
        return [stored] if stored is not None and selection.matches(stored) else []
    listed = cache.objects(selection.namespace)
    if selection.is_plain:
        return listed
    return await chosen_in_slices(selection, list(listed))


class _Place(NamedTuple):
    """Where a page begins: in the state at a revision, behind a name; `left` follow, where that is known."""

    revision: int
    start: str
    left: int | None


def _continued(cls: type[Resource], page: list[Stored], place: _Place) -> dict[str, Any]:
    """The metadata of a page that is not the last one."""
    left = None if place.left is None else place.left - len(page)
    start = page[-1].key.removeprefix(keys.folder(cls.kind))
    metadata: dict[str, Any] = {"resourceVersion": str(place.revision)}
    metadata["continue"] = _encode_token(_Place(place.revision, start, left))
    return metadata if left is None else {**metadata, "remainingItemCount": left}


async def _page(
    server: Server, cls: type[Resource], selection: Selection, limit: int, place: _Place
) -> tuple[list[Stored], dict[str, Any]]:
    """A page out of history: everything as it was at the place's revision."""
    await wait_for(server, place.revision)
    # What only a webhook can show in the wanted version is converted as it is read from the store.
    is_foreign = issubclass(cls, CustomResource) and cls.declared.conversions is not None
    if place.revision >= server.cache.compacted and not is_foreign:
        remembered = server.cache.of(cls).at(place.revision, selection.namespace)
        if remembered is not None:
            return await _remembered_page(remembered, cls, selection, limit, place)
    return await _stored_page(server, cls, selection, limit, place)


async def _remembered_page(
    objects: list[Stored], cls: type[Resource], selection: Selection, limit: int, place: _Place
) -> tuple[list[Stored], dict[str, Any]]:
    begin = bisect_right(objects, keys.folder(cls.kind) + place.start, key=attrgetter("key")) if place.start else 0
    left: Iterable[Stored] = itertools.islice(objects, begin, None)
    if not selection.is_plain:
        left = iter(await chosen_in_slices(selection, list(left)))
    page = list(itertools.islice(left, limit or None))
    if not limit or next(iter(left), None) is None:
        return page, {"resourceVersion": str(place.revision)}
    there = len(objects) - begin if selection.is_plain else None
    return page, _continued(cls, page, place._replace(left=there))


async def _stored_page(
    server: Server, cls: type[Resource], selection: Selection, limit: int, place: _Place
) -> tuple[list[Stored], dict[str, Any]]:
    folder, revision = keys.folder(cls.kind), place.revision
    after = folder + place.start if place.start else ""
    prefix = f"{folder}{selection.namespace}/" if selection.namespace else folder
    page: list[Stored] = []
    while True:
        try:
            read = await server.store.list(
                prefix, after=after, limit=min(limit + 1, PAGE) if limit else PAGE, at=revision
            )
        except Compacted:
            raise _expired(server, cls, selection, after) from None
        found = [server.cache.of(cls).stored(entry.key, entry.value, entry.revision) for entry in read.entries]
        if issubclass(cls, CustomResource):
            await convert_stored(server, cls, found)
        for entry, stored in zip(read.entries, found, strict=True):
            if limit and len(page) == limit:
                return page, _continued(cls, page, place)
            after = entry.key
            if selection.is_plain or selection.matches(stored):
                page.append(stored)
        if not read.more:
            return page, {"resourceVersion": str(revision)}


def _expired(server: Server, cls: type[Resource], selection: Selection, after: str) -> Expired:
    if not after:
        return Expired("The resourceVersion for the provided list is too old.")
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    )
    message += (
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
    )
    message += "the results. Continuing with the provided token results in an inconsistent list."
    error = Expired(message)
    left = None
    if selection.is_plain:
        left = sum(each.key > after for each in server.cache.of(cls).objects(selection.namespace))
    fresh = _encode_token(_Place(server.cache.applied, after.removeprefix(keys.folder(cls.kind)), left))
    status = error.to_status()
    status["metadata"] = {"continue": fresh}
    error.to_status = lambda: status  # type: ignore[method-assign]
    return error


def _encode_token(place: _Place) -> str:
    token: dict[str, Any] = {"v": "meta.k8s.io/v1", "rv": place.revision, "start": place.start + "\0"}
    raw = orjson.dumps(token if place.left is None else {**token, "left": place.left})
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode_token(token: str) -> _Place:
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        revision, start, left = raw["rv"], raw["start"], raw.get("left")
        if raw["v"] != "meta.k8s.io/v1" or not isinstance(revision, int) or revision < 0 or not start.endswith("\0"):
            raise ValueError
        return _Place(revision, start[:-1], left if isinstance(left, int) else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadRequest(f"continue key is not valid: {token[:100]!r} is not a token of this server") from None


def _number(request: Request, name: str) -> int:
    text = request.first(name)
    if not text:
        return 0
    try:
        number = int(text) if len(text) < 20 else -1
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise BadRequest(f"{name}: expected an integer of at least 0, got {text[:64]!r}")
    return number


def _check(match: str, version: int | None, token: str, *, has_initial: bool) -> None:
    """Refuse combinations that have no meaning."""
    errors: list[FieldError] = []
    if token and version:
        raise BadRequest("specifying resource version is not allowed when using continue")
    if match:
        if token:
            errors.append(
                forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            )
        elif version is None:
            errors.append(
                forbidden(
                    "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if match not in ("Exact", "NotOlderThan"):
            errors.append(not_supported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        elif match == "Exact" and version == 0:
            detail = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
            errors.append(forbidden("resourceVersionMatch", detail))
    if has_initial:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if errors:
        raise invalid_object("ListOptions.meta.k8s.io", "", errors)
