"""PATCH: from a body to a function on drafts. Kubernetes: endpoints/handlers/patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apiserver.fairness.aside import aside, weight_of
from apiserver.patch import PatchError
from apiserver.patch.json_patch import PatchFailed, json_patch
from apiserver.patch.merge import json_merge
from apiserver.patch.strategic import strategic_merge
from apiserver.reading.conversion import is_converted
from apiserver.request import Request
from apiserver.writing.applying import APPLY_PATCH, read_configuration
from apiserver.writing.decoding import Undecodable, accept, media_type_of
from apiserver.writing.patch_body import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, read_patch
from wherry.machinery.errors import BadRequest, Invalid, UnsupportedMediaType
from wherry.machinery.resource import Resource
from wherry.machinery.schema import settled_in

if TYPE_CHECKING:
    from apiserver.writing.rest import Write

Draft = dict[str, Any]


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
    validation = request.first("fieldValidation", "Warn")
    sent = await aside(write.weight, read_patch, body, media_type, validation)
    patch = sent.patch
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
        found = list(sent.problems)
        try:
            judged_as = "Ignore" if validation == "Ignore" else "Warn"
            wanted = accept(patched, cls, validation=judged_as, warnings=found, settled=settled)
        except Undecodable as error:
            raise sent.refusal(error.complaint) from None
        if found and validation == "Strict":
            raise sent.refusal(f"strict decoding error: {', '.join(found)}")
        request.warnings += found
        _check_identity(wanted, current)
        if entries is not None:
            wanted["metadata"]["managedFields"] = entries
        return wanted

    return change


def _names_entries(patch: Any) -> bool:
    """Whether a patch may read or change managedFields."""
    if isinstance(patch, dict):
        return isinstance(patch.get("metadata"), dict) and "managedFields" in patch["metadata"]
    given = [str(step.get(word)) for step in patch if isinstance(step, dict) for word in ("path", "from")]
    places = [text[text.find("/") :] for text in given]  # what stands in front does not count
    return any(place in ("", "/metadata") or place.startswith("/metadata/managedFields") for place in places)


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
