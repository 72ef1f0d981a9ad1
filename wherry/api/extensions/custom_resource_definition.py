"""CustomResourceDefinition: a kind that users declare. `custom_resource.py` makes classes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from wherry.api.extensions.definition_rules import check_definition, check_stored_versions, check_update
from wherry.api.extensions.definition_views import CLEANUP, DefinitionSpec, DefinitionStatus
from wherry.api.meta import has_condition
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import CREATED_AT
from wherry.machinery.time import time_text

DEFINITIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


@defaults(DEFINITIONS + "CustomResourceDefinitionSpec")
def _names_and_conversion(spec: dict[str, Any]) -> None:
    names = spec.setdefault("names", {})
    if names.get("kind"):
        if not names.get("singular"):
            names["singular"] = names["kind"].lower()
        if not names.get("listKind"):
            names["listKind"] = names["kind"] + "List"
    spec.setdefault("conversion", {"strategy": "None"})


@defaults(DEFINITIONS + "ServiceReference")
def _webhook_port(service: dict[str, Any]) -> None:
    service.setdefault("port", 443)


class CustomResourceDefinition(
    Resource,
    group="apiextensions.k8s.io",
    version="v1",
    scope="Cluster",
    short=("crd", "crds"),
    categories=("api-extensions",),
    subresources=("status",),
):
    """A kind that users declare."""

    spec: DefinitionSpec = DefinitionSpec()
    status: DefinitionStatus = DefinitionStatus()

    counts_generations = True
    unconditional_update = False
    columns = (CREATED_AT,)
    kept_by_status_writes = ("labels", "annotations", "finalizers", "ownerReferences")

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Whoever declares a kind stores objects of its storage version from the first one on."""
        draft["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}}
        _note_storage_version(draft)

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """A new storage version joins those of which there may be objects."""
        _note_storage_version(draft)

    @classmethod
    def prepare_deletion(cls, draft: dict[str, Any], now: datetime) -> None:
        """The objects go first, under a finalizer."""
        metadata = draft["metadata"]
        if "deletionTimestamp" in metadata:
            return
        metadata["finalizers"] = [*(name for name in metadata.get("finalizers", []) if name != CLEANUP), CLEANUP]
        status = draft["status"] = {**(draft.get("status") or {})}
        kept = [each for each in status.get("conditions") or [] if each.get("type") != "Terminating"]
        status["conditions"] = [
            *kept,
            {
                "type": "Terminating",
                "status": "True",
                "reason": "InstanceDeletionPending",
                "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
                "lastTransitionTime": time_text(now),
            },
        ]

    @property
    def is_established(self) -> bool:
        """Whether its objects are served."""
        return has_condition(self.status.conditions, "Established")

    @property
    def is_terminating(self) -> bool:
        """Whether it is being deleted, and its objects with it."""
        return has_condition(self.status.conditions, "Terminating")

    def validate(self, old: CustomResourceDefinition | None) -> Iterator[FieldError]:
        """Every broken rule."""
        name = f"{self.spec.names.plural}.{self.spec.group}"
        yield from check_definition(self.metadata, name, self.spec, old.spec if old else None)
        if old is not None:
            yield from check_update(self.spec, old.spec, is_established=old.is_established)
            yield from check_stored_versions(self.spec, self.status.stored_versions)

    def validate_status(self, old: CustomResourceDefinition) -> Iterator[FieldError]:
        """What objects are stored in must stay declared."""
        yield from check_stored_versions(self.spec, self.status.stored_versions)


def _note_storage_version(draft: dict[str, Any]) -> None:
    status = draft.setdefault("status", {})
    stored = status.setdefault("storedVersions", [])
    for version in (draft.get("spec") or {}).get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            status["storedVersions"] = [*stored, version.get("name", "")]
