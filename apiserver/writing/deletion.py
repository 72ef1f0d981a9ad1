"""What a DELETE does to an object: finalizers, grace periods, preconditions.

Kubernetes: registry/rest BeforeDelete and the store's finalizer rules (kubectl-visible behaviour of every kind).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wherry.machinery.errors import BadRequest, conflict, invalid_object
from wherry.machinery.field_errors import FieldError, invalid, not_supported
from wherry.machinery.resource import Kind, Resource
from wherry.machinery.schema import schema_for, walk
from wherry.machinery.time import time_text

Draft = dict[str, Any]

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_POLICIES = ("Background", "Foreground", "Orphan")
_FINALIZER_OF = {"Orphan": ORPHAN, "Foreground": FOREGROUND}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What the caller of a DELETE asked for. `grace_seconds` None leaves it to the object."""

    grace_seconds: int | None = None
    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, raw: Draft) -> DeleteOptions:
        """Check and read a DeleteOptions object; raises BadRequest for wrong types, Invalid for wrong values."""
        walked = walk(raw, schema_for("v1", "DeleteOptions"))
        if walked.errors:
            raise BadRequest(walked.errors[0].message("DeleteOptions", "v1"))
        raw = walked.value
        errors: list[FieldError] = []
        preconditions = raw.get("preconditions") or {}
        policy, orphan, grace = raw.get("propagationPolicy"), raw.get("orphanDependents"), raw.get("gracePeriodSeconds")
        if policy is not None and orphan is not None:
            errors.append(
                invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
            )
        if policy is not None and policy not in _POLICIES:
            errors.append(not_supported("propagationPolicy", policy, [*_POLICIES, "nil"]))
        dry_run = raw.get("dryRun") or []
        if any(value != "All" for value in dry_run):
            errors.append(not_supported("dryRun", dry_run, ["All"]))
        if errors:
            raise invalid_object("DeleteOptions.meta.k8s.io", "", errors)
        if orphan is not None:
            policy = "Orphan" if orphan else "Background"
        uid, version = preconditions.get("uid") or "", preconditions.get("resourceVersion") or ""
        return cls(grace, uid, version, policy or "", bool(dry_run))

    def to_json(self) -> Draft:
        """As it was asked for, for webhooks and policies."""
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        given: Draft = {"gracePeriodSeconds": self.grace_seconds, "propagationPolicy": self.propagation or None}
        given["preconditions"] = {key: value for key, value in preconditions.items() if value} or None
        return {key: value for key, value in given.items() if value is not None}

    def holds_for(self, draft: Draft) -> bool:
        """Whether the preconditions are met."""
        metadata = draft["metadata"]
        same_version = not self.resource_version or self.resource_version == metadata.get("resourceVersion")
        return (not self.uid or self.uid == metadata["uid"]) and same_version

    def check(self, draft: Draft, kind: Kind) -> None:
        """Raise Conflict when a precondition is not met."""
        if self.holds_for(draft):
            return
        metadata = draft["metadata"]
        what, wanted, found = "UID", self.uid, metadata["uid"]
        if not self.uid or self.uid == found:
            what, wanted, found = "ResourceVersion", self.resource_version, metadata.get("resourceVersion", "")
        why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        raise conflict(kind.name, metadata["name"], why)


def begin_deletion(draft: Draft, cls: type[Resource], options: DeleteOptions, now: datetime) -> Draft | None:
    """The object on its way out, or None when nothing keeps it."""
    draft = {**draft, "metadata": {**draft["metadata"]}}
    cls.prepare_deletion(draft, now)
    metadata = draft["metadata"]
    finalizers = _finalizers(metadata.get("finalizers", []), options.propagation or cls.default_propagation, options)
    metadata["finalizers"] = finalizers
    if not finalizers:
        del metadata["finalizers"]
    pending = {**draft, "metadata": metadata}
    grace = _grace_seconds(pending, cls, options)

    if "deletionTimestamp" in metadata:
        remaining = metadata.get("deletionGracePeriodSeconds", 0)
        if grace < remaining:  # a second DELETE may only shorten the wait
            _set_deletion(metadata, grace, now)
    elif grace or finalizers or _holds_namespace(draft, cls):
        _set_deletion(metadata, grace, now)
        if cls.counts_generations:
            metadata["generation"] = metadata.get("generation", 0) + 1
        if cls.kind.resource == "namespaces":
            pending["status"] = {**(draft.get("status") or {}), "phase": "Terminating"}
    if metadata.get("deletionGracePeriodSeconds") or finalizers or _holds_namespace(draft, cls):
        return pending
    return None


def is_ready_to_go(draft: Draft) -> bool:
    """Whether an update leaves an object that is being deleted and that nothing keeps any more."""
    metadata = draft["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"):
        return False
    return draft.get("kind") != "Namespace" or not (draft.get("spec") or {}).get("finalizers")


def _finalizers(present: list[str], policy: str, options: DeleteOptions) -> list[str]:
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    if not options.propagation:
        # Without a word from the caller, a policy asked for earlier stays.
        kept = list(present)
    wanted = _FINALIZER_OF.get(policy)
    return [*kept, wanted] if wanted and wanted not in kept else kept


def _grace_seconds(draft: Draft, cls: type[Resource], options: DeleteOptions) -> int:
    if cls.kind.resource != "pods":
        return 0
    spec, status = draft.get("spec") or {}, draft.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = options.grace_seconds
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", 30)
    return 1 if grace < 0 else int(grace)


def _set_deletion(metadata: Draft, grace: int, now: datetime) -> None:
    metadata["deletionTimestamp"] = time_text(now + timedelta(seconds=min(grace, 10 * 365 * 86400)))
    metadata["deletionGracePeriodSeconds"] = grace


def _holds_namespace(draft: Draft, cls: type[Resource]) -> bool:
    return cls.kind.resource == "namespaces" and bool((draft.get("spec") or {}).get("finalizers"))
