"""PATCH: from a body to a function on drafts. Kubernetes: endpoints/handlers/patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.fairness.aside import aside, weight_of
from apiserver.patch import PatchError
from apiserver.patch.json_patch import PatchFailed, json_patch
from apiserver.patch.merge import json_merge
from apiserver.patch.strategic import strategic_merge
from apiserver.reading.conversion import is_converted
from apiserver.request import Request
from apiserver.writing.applying import APPLY_PATCH, read_configuration
from apiserver.writing.decoding import accept, load_json, media_type_of
from wherry.machinery.errors import BadRequest, Invalid, TooLarge, UnsupportedMediaType
from wherry.machinery.resource import Resource
from wherry.machinery.schema import settled_in
from wherry.machinery.schema.leaves import json_type

if TYPE_CHECKING:
    from apiserver.writing.rest import Write

Draft = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
# Kubernetes: operations a JSON patch may have.
MAX_OPERATIONS = 10_000


async def patch_function(request: Request, cls: type[Resource], write: Write) -> Callable[[Draft], Draft]:
    """Read the patch in a request; what comes back turns the current draft into the wanted one."""
    media_type = media_type_of(request.header(b"content-type"))
    if media_type == APPLY_PATCH:
        return (await read_configuration(request, cls, write)).onto
    known = (JSON_PATCH, MERGE_PATCH) if cls.kind.is_custom else (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
    if media_type not in known:
        accepted = ", ".join((*known[:2], APPLY_PATCH, *known[2:]))
        message = "the body of the request was in an unknown format - accepted media types include: " + accepted
        raise UnsupportedMediaType(message)
    body = await request.body()
    write.weight = weight_of(body)
    patch = await aside(write.weight, _parse, body, media_type)
    validation = request.first("fieldValidation", "Warn")
    names_entries = _names_entries(patch)
    # A merge leaves what it does not name where it was. Schemas of custom kinds change.
    is_merge = media_type != JSON_PATCH and not cls.kind.is_custom and not is_converted(cls)

    def change(current: Draft) -> Draft:
        del request.warnings[:]
        # Long and never touched by a patch that does not name it: not worth walking.
        entries = None if names_entries else current["metadata"].pop("managedFields", None)
        patched = _apply(current, patch, media_type, cls)
        for field in ("kind", "apiVersion"):
            if patched.get(field) != current[field]:
                raise BadRequest(
                    f"{field}: a patch may not change it from {current[field]!r} to {patched.get(field)!r}"
                )
        if not isinstance(patched.get("metadata"), dict):
            raise BadRequest("metadata: a patch may not remove it or make it anything but an object")
        is_known = is_merge and int(current["metadata"].get("resourceVersion") or 0) > write.accepted_since
        settled = settled_in(current) if is_known else frozenset()
        wanted = accept(patched, cls, validation=validation, warnings=request.warnings, settled=settled)
        _check_identity(wanted, current)
        if entries is not None:
            wanted["metadata"]["managedFields"] = entries
        return wanted

    return change


def _names_entries(patch: Any) -> bool:
    """Whether a patch may read or change managedFields."""
    if isinstance(patch, dict):
        return isinstance(patch.get("metadata"), dict) and "managedFields" in patch["metadata"]
    places = [step.get(word) for step in patch if isinstance(step, dict) for word in ("path", "from")]
    return any(place in ("", "/metadata") or str(place).startswith("/metadata/managedFields") for place in places)


def _parse(body: bytes, media_type: str) -> Any:
    try:
        patch = load_json(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from None
    expected = list if media_type == JSON_PATCH else dict
    if not isinstance(patch, expected):
        wanted = "[]interface {}" if expected is list else "map[string]interface {}"
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {json_type(patch)} into Go value of type {wanted}"
        )
    if media_type == JSON_PATCH and len(patch) > MAX_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    return patch


def _apply(current: Draft, patch: Any, media_type: str, cls: type[Resource]) -> Draft:
    try:
        if media_type == JSON_PATCH:
            patched = json_patch(current, patch)
        elif media_type == MERGE_PATCH:
            patched = json_merge(current, patch)
        else:
            patched = strategic_merge(current, patch, cls.schema())
    except PatchFailed:
        raise Invalid("the server rejected our request due to an error in our request", {}) from None
    except (PatchError, RecursionError) as error:
        raise BadRequest(f"error applying patch: {error or 'it nests too deeply'}") from None
    if not isinstance(patched, dict):
        raise Invalid("the server rejected our request due to an error in our request", {})
    return patched


def _check_identity(wanted: Draft, current: Draft) -> None:
    for field in ("name", "namespace"):
        if wanted["metadata"].get(field) != current["metadata"].get(field):
            given, known = wanted["metadata"].get(field, ""), current["metadata"].get(field, "")
            raise BadRequest(f"the {field} of the object ({given}) does not match the {field} on the URL ({known})")
