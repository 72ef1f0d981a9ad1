"""Empty a namespace that is being deleted, then let it go. Kubernetes: the namespace controller, ordered deletion.

Pods go first, with their grace periods, so that what they use outlives them. `shells/emptying.py` asks the server what
is there, since a copy that lags could leave objects behind in a namespace that no longer exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from wherry.api.core.namespace import FINALIZER, Namespace
from wherry.api.meta import Condition, Conditions, with_condition
from wherry.client.plan import CheckAgain, Delete, Plan, SetStatus, Update
from wherry.machinery.errors import ApiError
from wherry.machinery.resource import Resource

# What was just deleted without finalizers is gone by the next look; for the rest somebody else must act first.
SOON_SECONDS, LATER_SECONDS = 0.05, 2.0


def is_ending(namespace: Namespace) -> bool:
    """Whether it is ours to empty."""
    return namespace.metadata.deleted_at is not None and FINALIZER in namespace.spec.finalizers


def plan(namespace: Namespace, content: Sequence[Resource], now: datetime, failure: ApiError | None = None) -> Plan:
    """Delete what stands; when nothing does, finalize. `failure` ended the last attempt."""
    if not is_ending(namespace):
        return
    if not content:
        rest = [finalizer for finalizer in namespace.spec.finalizers if finalizer != FINALIZER]
        yield Update(namespace, {"spec": {"finalizers": rest}}, subresource="finalize")
        return
    conditions = namespace.status.conditions
    for condition in _told(content, failure):
        conditions = with_condition(conditions, condition, now)
    if _said(conditions) != _said(namespace.status.conditions):
        yield SetStatus(namespace.with_status(conditions=conditions))
    standing = [obj for obj in content if obj.metadata.deleted_at is None]
    yield from map(Delete, standing)
    yield CheckAgain(SOON_SECONDS if standing else LATER_SECONDS)


def _said(conditions: Conditions) -> list[tuple[str, ...]]:
    return [(one.type, one.status, one.reason, one.message) for one in conditions]


def _told(content: Sequence[Resource], failure: ApiError | None) -> Iterator[Condition]:
    """The five conditions that Kubernetes reports of a namespace on its way out."""
    yield _condition("DeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered")
    message = "All legacy kube types successfully parsed"
    yield _condition("DeletionGroupVersionParsingFailure", False, "ParsedGroupVersions", message)
    if failure is None:
        message = "All content successfully deleted, may be waiting on finalization"
        yield _condition("DeletionContentFailure", False, "ContentDeleted", message)
    else:
        message = f"Failed to delete all resource types, 1 remaining: {failure.message}"
        yield _condition("DeletionContentFailure", True, "ContentDeletionFailed", message)
    kinds = Counter(f"{obj.kind.plural}.{obj.kind.group}" for obj in content)
    remaining = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(kinds.items()))
    yield _condition("ContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {remaining}")
    finalizers = Counter(finalizer for obj in content for finalizer in obj.metadata.finalizers)
    waiting = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    if waiting:
        message = f"Some content in the namespace has finalizers remaining: {waiting}"
        yield _condition("FinalizersRemaining", True, "SomeFinalizersRemain", message)
    else:
        message = "All content-preserving finalizers finished"
        yield _condition("FinalizersRemaining", False, "ContentHasNoFinalizers", message)


def _condition(type: str, is_true: bool, reason: str, message: str) -> Condition:
    return Condition(type=f"Namespace{type}", status=str(is_true), reason=reason, message=message)
