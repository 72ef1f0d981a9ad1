"""What the server itself writes into an object's metadata, at creation and on every update.

Kubernetes: registry/rest BeforeCreate and BeforeUpdate. Differs: an object created with a version is a 400, not a 500.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from random import Random
from typing import Any

from wherry.machinery.errors import BadRequest, conflict
from wherry.machinery.names import generate_name
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

Draft = dict[str, Any]

# What an update may not change and takes over silently.
_HEAD = ("metadata", "kind", "apiVersion")
_KEPT = ("uid", "creationTimestamp", "generation", "selfLink", "generateName")


def begin(draft: Draft, cls: type[Resource], namespace: str, now: datetime, random: Random) -> None:
    """Give a new object its name, uid, time and first generation; status mostly waits for its own writes."""
    metadata = draft["metadata"]
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
        metadata.pop(field, None)
    set_namespace(metadata, cls, namespace)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generate_name(metadata["generateName"], random)
    metadata["uid"] = str(uuid.UUID(int=random.getrandbits(128), version=4))
    metadata["creationTimestamp"] = time_text(now)
    metadata.pop("generation", None)
    if cls.counts_generations:
        metadata["generation"] = 1
    if "status" in cls.kind.subresources and not cls.begins_with_status:
        draft.pop("status", None)
    cls.prepare_create(draft)


def set_entries(draft: Draft, entries: list[Draft]) -> None:
    """Give an object its managedFields, whatever it says of them itself."""
    draft["metadata"].pop("managedFields", None)
    if entries:
        draft["metadata"]["managedFields"] = entries


def set_namespace(metadata: Draft, cls: type[Resource], namespace: str) -> None:
    """The namespace comes from the URL; a different one in the body is a mistake."""
    given = metadata.get("namespace")
    if given and cls.kind.namespaced and given != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    metadata.pop("namespace", None)
    if cls.kind.namespaced:
        metadata["namespace"] = namespace


def carry_over(draft: Draft, old: Draft, cls: type[Resource]) -> None:
    """Make an update of the main resource keep what only the server, or only `/status`, changes."""
    metadata, before = draft["metadata"], old["metadata"]
    if metadata.get("uid") and metadata["uid"] != before["uid"]:
        why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {before['uid']}"
        raise conflict(cls.kind.resource, before["name"], why)
    _keep(metadata, before)
    if "status" in cls.kind.subresources:
        _copy(draft, old, "status")
    cls.prepare_update(draft, old)


def count_generation(draft: Draft, old: Draft, cls: type[Resource]) -> None:
    """Note that the desired state is another one; after admission, which may have put back what it was."""
    if cls.counts_generations and _desired(draft, cls) != _desired(old, cls):
        draft["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def status_only(draft: Draft, old: Draft, cls: type[Resource]) -> Draft:
    """A write through `/status`: the old object with the new status and metadata, as far as the kind lets it."""
    result = {key: value for key, value in old.items() if key != "status"}
    if "status" in draft:
        result["status"] = draft["status"]
    result["metadata"] = draft["metadata"]
    _keep(result["metadata"], old["metadata"])
    for field in cls.kept_by_status_writes:
        _copy(result["metadata"], old["metadata"], field)
    cls.prepare_status_update(result, old)
    return result


def _keep(metadata: Draft, before: Draft) -> None:
    for field in _KEPT:
        _copy(metadata, before, field)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if field not in metadata:
            _copy(metadata, before, field)


def _copy(into: Draft, source: Draft, field: str) -> None:
    into.pop(field, None)
    if field in source:
        into[field] = source[field]


def _desired(draft: Draft, cls: type[Resource]) -> Draft:
    ours = ("metadata", "status", "kind", "apiVersion") if "status" in cls.kind.subresources else _HEAD
    return {key: value for key, value in draft.items() if key not in ours}
