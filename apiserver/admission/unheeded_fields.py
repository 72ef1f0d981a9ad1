"""UnheededFields: who asks for what nothing here does yet is told so, instead of wondering.

Kubernetes: the `Warning:` headers of deprecated fields. This plugin goes when the scheduler heeds these fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write


class UnheededFields(AdmissionPlugin):
    """Warns; never refuses."""

    kinds: ClassVar[tuple[str, ...]] = (
        "pods",
        "replicationcontrollers",
        *(f"{workload}.apps" for workload in ("daemonsets", "deployments", "replicasets", "statefulsets")),
    )
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        path, spec = "spec", draft.get("spec") or {}
        if "template" in spec:
            path, spec = "spec.template.spec", spec["template"].get("spec") or {}
        if draft["metadata"].get("ownerReferences"):
            return  # whoever made the template was told
        write.warnings += [f"{path}.{field} has no effect yet: see docs/limits.md" for field in unheeded(spec)]


def unheeded(spec: Draft) -> Iterator[str]:
    """The fields of a pod that nothing acts on."""
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        if affinity.get(field):
            yield f"affinity.{field}"
    if spec.get("topologySpreadConstraints"):
        yield "topologySpreadConstraints"
