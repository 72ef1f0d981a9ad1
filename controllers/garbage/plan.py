"""What becomes of one object whose owners are gone or going, or that is going itself.

Kubernetes: the garbage collector's attemptToDeleteItem and attemptToOrphan. Owners count as gone only when the server
itself says so of their uid: the same name with another uid is another owner, and one in another namespace is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from controllers.garbage.graph import FOREGROUND, ORPHAN, blocks, is_orphaning, is_waiting
from wherry.client.plan import Delete, Plan, Update
from wherry.machinery.meta import OwnerReference
from wherry.machinery.resource import Resource


class Owner(Enum):
    """What the server says of an owner."""

    PRESENT = "present"
    UNSEEN = "unseen"  # present, though our watch has not shown it yet
    ABSENT = "absent"
    WAITING = "waiting"  # being deleted, but not before its dependents


def plan(obj: Resource, owners: Mapping[str, Owner], dependents: Sequence[Resource]) -> Plan:
    """`owners` by uid: those not named are present. `dependents` are those of `obj` itself."""
    if is_orphaning(obj):
        for dependent in dependents:
            yield _owned_by(dependent, [one for one in dependent.metadata.owner_references if not _is(one, obj)])
        yield _without_finalizer(obj, ORPHAN)
    elif is_waiting(obj):
        if not any(blocks(dependent, obj) for dependent in dependents):
            yield _without_finalizer(obj, FOREGROUND)
    elif obj.metadata.deleted_at is None:
        yield from _judged(obj, owners, dependents)


def _judged(obj: Resource, owners: Mapping[str, Owner], dependents: Sequence[Resource]) -> Plan:
    references = obj.metadata.owner_references
    states = [owners.get(reference.uid, Owner.PRESENT) for reference in references]
    present = [one for one, state in zip(references, states, strict=True) if state in (Owner.PRESENT, Owner.UNSEEN)]
    if len(present) == len(references):
        return
    if present:
        yield _owned_by(obj, present)
    elif Owner.WAITING in states and dependents:
        if any(is_waiting(dependent) for dependent in dependents):
            # They wait for each other in a circle: this one no longer keeps its owner waiting.
            yield _owned_by(obj, [reference.replace(block_owner_deletion=False) for reference in references])
        yield Delete(obj, "Foreground", only_as_seen=True)
    else:
        yield Delete(obj, _policy(obj.metadata.finalizers), only_as_seen=True)


def _policy(finalizers: Iterable[str]) -> str:
    """How an earlier DELETE asked for it, if there was one."""
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"


def _is(reference: OwnerReference, owner: Resource) -> bool:
    return reference.uid == owner.metadata.uid


def _owned_by(obj: Resource, references: Iterable[OwnerReference]) -> Update:
    wire: list[dict[str, Any]] = [reference.to_wire() for reference in references]
    return Update(obj, {"metadata": {"ownerReferences": wire or None}})


def _without_finalizer(obj: Resource, finalizer: str) -> Update:
    rest = [name for name in obj.metadata.finalizers if name != finalizer]
    return Update(obj, {"metadata": {"finalizers": rest or None}})
