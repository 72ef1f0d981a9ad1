"""LimitRanger: pods and claims keep within the bounds of their namespace; containers get its defaults."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.limit_range import LimitRange
from wherry.api.core.quota.bounds import complaints_of_claim, complaints_of_pod, set_defaults, told
from wherry.machinery.errors import forbidden


class LimitRanger(AdmissionPlugin):
    """Kubernetes: LimitRanger. A pod's containers never change, except by a resize, which is judged like a new pod."""

    kinds: ClassVar[tuple[str, ...]] = ("pods", "persistentvolumeclaims")

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.cls.kind.resource == "pods" and write.operation == "CREATE":
            for ranges in self._ranges(write.namespace):
                set_defaults(draft, ranges)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        is_pod = write.cls.kind.resource == "pods"
        if write.operation == "UPDATE" and write.subresource != ("resize" if is_pod else ""):
            return
        for ranges in self._ranges(write.namespace):
            why = told(complaints_of_pod(draft, ranges) if is_pod else complaints_of_claim(draft, ranges))
            if why:
                raise forbidden(write.cls.kind.resource, write.name, why)

    def _ranges(self, namespace: str) -> list[LimitRange]:
        cache = self.server.cache.of(LimitRange)
        return [LimitRange.read(each.item) for each in cache.objects(namespace)] if cache.count(namespace) else []
