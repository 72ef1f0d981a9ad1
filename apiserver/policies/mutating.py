"""What a mutating policy makes of an object: by a JSON patch, or by a configuration merged as server-side apply does.

Kubernetes: admission/plugin/policy/mutating.
"""

from __future__ import annotations

from typing import Any

from apiserver.matching.attributes import Attributes
from apiserver.ownership.versions import topology_for
from apiserver.patch import PatchError
from apiserver.patch.json_patch import json_patch
from apiserver.policies.compiled import Change, Variables
from apiserver.writing.decoding import accept
from wherry.machinery.cel import Failure
from wherry.machinery.errors import ApiError
from wherry.machinery.resource import Resource

Draft = dict[str, Any]


class Unmade(Exception):
    """Why a change could not be made."""


def make(change: Change, variables: Variables, attributes: Attributes, cls: type[Resource]) -> bool:
    """Change the object; whether that made a difference. Raises Unmade."""
    wanted = variables.evaluate(change.program)
    if isinstance(wanted, Failure):
        raise Unmade(f"expression '{change.expression.strip()}' resulted in error: {wanted.message}")
    before = attributes.object_as(cls)
    if before is None or not wanted:
        return False
    try:
        after = _changed(before, wanted, change.patch_type, cls)
        if after == before:
            return False
        if attributes.facet is None:
            after = accept(after, cls, validation="Ignore", warnings=[])
    except (PatchError, ApiError, RecursionError) as error:
        raise Unmade(f"error applying patch: {error or 'it nests too deeply'}") from None
    attributes.take(after, cls)
    return True


def _changed(before: Draft, wanted: Any, patch_type: str, cls: type[Resource]) -> Draft:
    if patch_type == "JSONPatch":
        return json_patch(before, wanted)
    if not isinstance(wanted, dict):
        raise PatchError(f"an apply configuration is an object, got {type(wanted).__name__}")
    topology = topology_for(cls)
    fault = next(topology.faults(wanted), "")
    if fault:
        raise PatchError(fault)
    merged: Draft = topology.merge(before, wanted)
    return merged
