"""OwnerReferencesPermissionEnforcement: who changes the owners of an object must be allowed to delete it.

And who blocks the deletion of an owner, by `blockOwnerDeletion`, must be allowed to set that owner's finalizers. As in
Kubernetes it is off unless `--enable-admission-plugins` names it: many operators have not been given these rights.
"""

from __future__ import annotations

from typing import Any

from apiserver.access.rbac import MASTERS, Attributes
from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.request import SERVER_ITSELF
from apiserver.writing.rest import Write
from wherry.machinery.errors import forbidden
from wherry.machinery.resource import kind_named


class OwnerReferencesPermissionEnforcement(AdmissionPlugin):
    """Kubernetes: OwnerReferencesPermissionEnforcement. Owners of a kind that is not served are nobody's business."""

    order = 20
    is_on = False

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        owners = draft["metadata"].get("ownerReferences") or []
        before = ((old or {}).get("metadata") or {}).get("ownerReferences") or []
        if owners == before or MASTERS in write.user.groups or write.user is SERVER_ITSELF:
            return
        kind = write.cls.kind
        if old is not None and not _same_owners(owners, before):
            wanted = Attributes("delete", kind.group, kind.plural, write.namespace, write.name)
            decision = self.server.authorizer.decide(write.user, wanted)
            if not decision.allowed:
                why = f"cannot set an ownerRef on a resource you can't delete: {decision.reason}"
                raise forbidden(kind.resource, write.name, why.rstrip(": "))
        for owner in _newly_blocking(owners, before):
            self._check_blocking(owner, write)

    def _check_blocking(self, owner: Draft, write: Write) -> None:
        cls = kind_named(owner.get("apiVersion", ""), owner.get("kind", ""))
        if cls is None:
            return
        kind, namespace = cls.kind, write.namespace if cls.kind.namespaced else ""
        wanted = Attributes("update", kind.group, f"{kind.plural}/finalizers", namespace, owner.get("name", ""))
        decision = self.server.authorizer.decide(write.user, wanted)
        if not decision.allowed:
            why = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
            raise forbidden(write.cls.kind.resource, write.name, f"{why}: {decision.reason}".rstrip(": "))


def _uid(owner: Draft) -> tuple[Any, ...]:
    return owner.get("apiVersion"), owner.get("kind"), owner.get("name"), owner.get("uid"), owner.get("controller")


def _same_owners(owners: list[Draft], before: list[Draft]) -> bool:
    return sorted(map(_uid, owners), key=str) == sorted(map(_uid, before), key=str)


def _newly_blocking(owners: list[Draft], before: list[Draft]) -> list[Draft]:
    known = {owner.get("uid") for owner in before if owner.get("blockOwnerDeletion")}
    return [owner for owner in owners if owner.get("blockOwnerDeletion") and owner.get("uid") not in known]
