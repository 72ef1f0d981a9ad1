"""Who belongs to whom, over all kinds, by uid. Pure: objects come in, uids to look at come out.

    graph = OwnerGraph()
    graph.put(replicaset)               # set(): its owner is there
    graph.remove(deployment)            # {the ReplicaSet's uid}

It holds what informers show, so it may lag: it says whom to look at, never what to do. Kubernetes: the garbage
collector's GraphBuilder.
"""

from __future__ import annotations

from collections import defaultdict

from wherry.machinery.meta import OwnerReference
from wherry.machinery.resource import Resource

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


def is_orphaning(obj: Resource) -> bool:
    """Whether it is being deleted and its dependents shall stay."""
    return obj.metadata.deleted_at is not None and ORPHAN in obj.metadata.finalizers


def is_waiting(obj: Resource) -> bool:
    """Whether it is being deleted and waits for its dependents to go first."""
    return obj.metadata.deleted_at is not None and FOREGROUND in obj.metadata.finalizers


def honours(reference: OwnerReference, obj: Resource, owner: Resource) -> bool:
    """Whether `owner` is the one that `obj` refers to: the same in every respect, and not in another namespace."""
    same_group = reference.api_version.rpartition("/")[0] == owner.kind.group
    same = (reference.uid, reference.kind, reference.name) == (owner.metadata.uid, owner.kind.name, owner.metadata.name)
    return same and same_group and owner.metadata.namespace in ("", obj.metadata.namespace)


def blocks(dependent: Resource, owner: Resource) -> bool:
    """Whether an owner that waits for its dependents waits for this one."""
    uid = owner.metadata.uid
    return any(one.block_owner_deletion and one.uid == uid for one in dependent.metadata.owner_references)


def _belongs(obj: Resource, owner: Resource) -> bool:
    return any(honours(reference, obj, owner) for reference in obj.metadata.owner_references)


class OwnerGraph:
    """See the module."""

    def __init__(self) -> None:
        self._objects: dict[str, Resource] = {}
        self._dependents: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def get(self, uid: str) -> Resource | None:
        """The object, if it is there."""
        return self._objects.get(uid)

    def dependents(self, owner: Resource) -> list[Resource]:
        """The objects that belong to it."""
        uid = owner.metadata.uid
        found = [self._objects[dependent] for dependent in self._dependents.get(uid, ())]
        return [obj for obj in found if _belongs(obj, owner)]

    def put(self, obj: Resource) -> set[str]:
        """An object came or changed: gives the uids to look at."""
        uid = obj.metadata.uid
        before = self._objects.get(uid)
        former = set() if before is None else self._unlink(before)
        self._objects[uid] = obj
        for reference in obj.metadata.owner_references:
            self._dependents[reference.uid][uid] = None
        look_at = self._released(former)
        if self.is_suspect(obj):
            look_at.add(uid)
        if is_waiting(obj) and not (before is not None and is_waiting(before)):
            look_at |= set(self._dependents.get(uid, ()))
        return look_at

    def remove(self, obj: Resource) -> set[str]:
        """An object is gone: gives the uids to look at."""
        uid = obj.metadata.uid
        present = self._objects.pop(uid, None)
        owners = self._unlink(present) if present is not None else set()
        return self._released(owners) | set(self._dependents.get(uid, ()))

    def doubtful(self, obj: Resource) -> list[OwnerReference]:
        """The references that, as far as is known here, lead to nobody or to somebody who is about to go."""
        return [reference for reference in obj.metadata.owner_references if not self._is_sound(obj, reference)]

    def suspects(self) -> set[str]:
        """Everyone to look at when the graph is first complete."""
        return {uid for uid, obj in self._objects.items() if self.is_suspect(obj)}

    def is_suspect(self, obj: Resource) -> bool:
        """Whether something may have to be done about it."""
        if obj.metadata.deleted_at is not None:
            # It goes anyway, and nothing will ever stop it.
            return is_orphaning(obj) or is_waiting(obj)
        return bool(self.doubtful(obj))

    def _released(self, owners: set[str]) -> set[str]:
        """Those of them that wait for their dependents and have nobody left who keeps them."""
        waiting = [self._objects[uid] for uid in owners if uid in self._objects and is_waiting(self._objects[uid])]
        return {owner.metadata.uid for owner in waiting if not self._is_kept(owner)}

    def _is_kept(self, owner: Resource) -> bool:
        # Stops at the first one found: an owner of thousands is asked about for each that goes.
        dependents = (self._objects[uid] for uid in self._dependents.get(owner.metadata.uid, ()))
        return any(blocks(one, owner) and _belongs(one, owner) for one in dependents)

    def _is_sound(self, obj: Resource, reference: OwnerReference) -> bool:
        owner = self._objects.get(reference.uid)
        return owner is not None and honours(reference, obj, owner) and not is_waiting(owner)

    def _unlink(self, obj: Resource) -> set[str]:
        owners = {reference.uid for reference in obj.metadata.owner_references}
        for owner in owners:
            dependents = self._dependents.get(owner, {})
            dependents.pop(obj.metadata.uid, None)
            if not dependents:
                self._dependents.pop(owner, None)
        return owners
