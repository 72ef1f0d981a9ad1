"""NamespaceLifecycle: nothing is created in a namespace that is missing or going; three namespaces stay for ever."""

from __future__ import annotations

from typing import Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.namespace import Namespace
from wherry.machinery.errors import forbidden, not_found

IMMORTAL = ("default", "kube-system", "kube-public")


class NamespaceLifecycle(AdmissionPlugin):
    """Asked before all others, so that whoever misses something in a namespace says so of one that exists.

    Kubernetes: NamespaceLifecycle.
    """

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "DELETE")
    order = 0

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        kind = write.cls.kind
        if write.operation == "DELETE":
            if kind.resource == "namespaces" and write.name in IMMORTAL:
                raise forbidden("namespaces", write.name, "this namespace may not be deleted")
            return
        if not kind.namespaced:
            return
        cache = self.server.cache.of(Namespace)
        namespace = cache.get("", write.namespace)
        if namespace is None:
            await self.server.cache.fresh()  # it may have been created a moment ago
            namespace = cache.get("", write.namespace)
        if namespace is None:
            raise not_found("namespaces", write.namespace)
        if namespace.fields["status.phase"] == "Terminating":
            raise self._going(write)

    def _going(self, write: Write) -> Exception:
        why = f"unable to create new content in namespace {write.namespace} because it is being terminated"
        error = forbidden(write.cls.kind.resource, write.name, why)
        message = f"namespace {write.namespace} is being terminated"
        causes: list[dict[str, Any]] = [
            {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
        ]
        error.details = {**(error.details or {}), "causes": causes}
        return error
