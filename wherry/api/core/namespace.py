"""Namespace: a room for names. Behaviour: controllers/namespace.py empties a room that is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_finalizer
from wherry.machinery.view import View

VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


@defaults("io.k8s.api.core.v1.Namespace")
def _label_with_name(namespace: dict[str, Any]) -> None:
    metadata = namespace.get("metadata") or {}
    if name := metadata.get("name"):
        metadata.setdefault("labels", {})[NAME_LABEL] = name


class NamespaceSpec(View):
    """While `finalizers` holds `kubernetes`, the room is not yet empty."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(View):
    """`phase` is Active or Terminating; conditions say what still stands in the room."""

    phase: str = "Active"
    conditions: Conditions = ()


class Namespace(
    Resource, version="v1", scope="Cluster", short=("ns",), subresources=("finalize", "status"), verbs=VERBS
):
    """A room for names."""

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()

    delete_returns_object = True
    name_rule = "label"
    selectable = {"status.phase": lambda namespace: namespace.status.phase}
    columns = (Column("Status", lambda namespace: namespace.status.phase), AGE)

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """A new room is open, and marked so that it cannot vanish before it is empty."""
        _label_with_name(draft)  # a generated name is known only now
        draft["status"] = {"phase": "Active"}
        spec = draft.setdefault("spec", {})
        finalizers = spec.setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """Finalizers change through `/finalize` only."""
        draft["spec"] = {**draft.get("spec", {}), "finalizers": (old.get("spec") or {}).get("finalizers", [])}

    def validate(self, old: Namespace | None) -> Iterator[FieldError]:
        """Every broken rule of a namespace; also those of a write through `/finalize`."""
        for finalizer in self.spec.finalizers:
            yield from check_finalizer("spec.finalizers", finalizer)

    def validate_status(self, old: Namespace) -> Iterator[FieldError]:
        """The phase follows the deletion, never the other way round."""
        phase, is_deleted = self.status.phase, self.metadata.deleted_at is not None
        if not is_deleted and phase != "Active":
            yield invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
        if is_deleted and phase != "Terminating":
            yield invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")
