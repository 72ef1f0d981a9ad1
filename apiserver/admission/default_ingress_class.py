"""DefaultIngressClass: an ingress that names no class gets the default one."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.networking.ingress import CLASS_ANNOTATION
from wherry.api.networking.ingress_class import IngressClass, default_class


class DefaultIngressClass(AdmissionPlugin):
    """Kubernetes: DefaultIngressClass. Of several default classes the newest counts."""

    kinds: ClassVar[tuple[str, ...]] = ("ingresses.networking.k8s.io",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec, annotations = draft.setdefault("spec", {}), draft["metadata"].get("annotations") or {}
        if spec.get("ingressClassName") is not None or CLASS_ANNOTATION in annotations:
            return
        classes = self.server.cache.of(IngressClass).objects()
        chosen = default_class(IngressClass.read(stored.item) for stored in classes)
        if chosen is not None:
            spec["ingressClassName"] = chosen.metadata.name
