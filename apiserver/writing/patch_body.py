"""What a PATCH sends: its body as a patch, or the refusal in the words of Kubernetes' decoder.

Kubernetes: endpoints/handlers/patch, where a patch that cannot be read is a 400, and an object that cannot be read once
the patch was applied is a 422 about `patch`. Differs: this shows the patch, not the whole object, which its author may
not be allowed to see; and what is no JSON is told in words of our own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from apiserver.writing.decoding import load_json
from wherry.machinery.errors import BadRequest, Invalid, TooLarge, invalid_object
from wherry.machinery.field_errors import invalid
from wherry.machinery.schema import duplicate_fields
from wherry.machinery.schema.findings import MAX_DEPTH, MAX_UNKNOWN, weigh
from wherry.machinery.schema.leaves import json_type

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
# Kubernetes: operations a JSON patch may have.
MAX_OPERATIONS = 10_000

_TEXTS = ("op", "path", "from")
_FIELDS = (*_TEXTS, "value")
# How much of a patch a refusal shows.
_SHOWN = 1024


class PatchBody(NamedTuple):
    """A patch, and what strict validation says about how it is written."""

    patch: Any
    problems: list[str]
    text: bytes

    def refusal(self, complaint: str) -> Invalid:
        """The error about an object that cannot be read as this patch leaves it."""
        shown = self.text[:_SHOWN].decode(errors="replace")
        return invalid_object("", "", [invalid("patch", shown, complaint)])


def read_patch(body: bytes, media_type: str, validation: str) -> PatchBody:
    """The patch in a body; raises BadRequest or TooLarge."""
    is_judged = validation != "Ignore"
    prefix = "" if media_type == STRATEGIC_PATCH else "error decoding patch: "
    try:
        patch = load_json(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{prefix}{error}") from None
    if media_type == JSON_PATCH:
        patch = [] if patch is None else patch
        wrong = _wrong_operations(patch) if is_judged else _unread_operations(patch)
        prefix = prefix if is_judged else ""
    else:
        wrong = "" if isinstance(patch, dict) else f"{json_type(patch)} into Go value of type map[string]interface {{}}"
    if wrong:
        raise BadRequest(f"{prefix}json: cannot unmarshal {wrong}")
    if media_type == JSON_PATCH and len(patch) > MAX_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    return PatchBody(patch, _problems(patch, body, media_type) if is_judged else [], body)


def _wrong_operations(patch: Any) -> str:
    """What Go cannot read as operations, if anything."""
    if not isinstance(patch, list):
        return f"{json_type(patch)} into Go value of type []handlers.jsonPatchOp"
    for step in patch:
        if not isinstance(step, dict | None):
            return f"{json_type(step)} into Go value of type handlers.jsonPatchOp"
        for field, given in (step or {}).items():
            if field in _TEXTS and not isinstance(given, str | None):
                return f"{json_type(given)} into Go struct field jsonPatchOp.{field} of type string"
    return ""


def _unread_operations(patch: Any) -> str:
    """The same where nobody wants the operations judged: then they are read less closely."""
    if not isinstance(patch, list):
        return f"{json_type(patch)} into Go value of type jsonpatch.Patch"
    wrong = [step for step in patch if not isinstance(step, dict | None)]
    return f"{json_type(wrong[0])} into Go value of type jsonpatch.Operation" if wrong else ""


def _problems(patch: Any, body: bytes, media_type: str) -> list[str]:
    keys, depth = weigh(patch)
    twice = duplicate_fields(body, keys) if depth <= MAX_DEPTH else []
    problems = [f'duplicate field "{path}"' for path in twice]
    if media_type != JSON_PATCH:
        return problems[:MAX_UNKNOWN]
    for index, step in enumerate(patch):
        problems += [f'unknown field "[{index}].{field}"' for field in step or () if field not in _FIELDS]
    return [f"json patch {problem}" for problem in problems[:MAX_UNKNOWN]]
