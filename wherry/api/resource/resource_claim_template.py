"""ResourceClaimTemplate: claims to be, one for each pod that names it. Behaviour: controllers/resource_claims.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.resource.device_claim import GROUP, ResourceClaimSpec, check_claim_spec
from wherry.machinery.field_errors import FieldError, immutable
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.resource import Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_annotations, check_labels, under
from wherry.machinery.view import Verbatim


class ClaimTemplate(Verbatim):
    """The claim to be, kept whole."""

    @property
    def metadata(self) -> ObjectMeta:
        """Labels and annotations of the claims."""
        return ObjectMeta.read(self.raw.get("metadata") or {})

    @property
    def spec(self) -> ResourceClaimSpec:
        """A reading of the claims."""
        return ResourceClaimSpec.read(self.raw.get("spec") or {})

    @property
    def manifest(self) -> dict[str, Any]:
        """The spec of the claims as JSON."""
        spec: dict[str, Any] = self.raw.get("spec") or {}
        return spec


_NOTHING = ClaimTemplate()


class ResourceClaimTemplate(Resource, group=GROUP, version="v1"):
    """Claims to be, one for each pod that names it."""

    spec: ClaimTemplate = _NOTHING

    columns = (AGE,)

    def validate(self, old: ResourceClaimTemplate | None) -> Iterator[FieldError]:
        """Every broken rule; a template is for life."""
        if old is not None:
            if self.spec != old.spec:
                yield immutable("spec", self.spec.raw)
            return
        yield from check_labels("spec.metadata.labels", self.spec.metadata.labels)
        yield from check_annotations("spec.metadata.annotations", self.spec.metadata.annotations)
        yield from under("spec.spec", check_claim_spec(self.spec.spec))
