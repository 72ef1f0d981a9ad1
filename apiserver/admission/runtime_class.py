"""RuntimeClass: a pod pays the overhead of its runtime class, and goes where that class can be had."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.node.runtime_class import RuntimeClass as Runtime
from wherry.machinery.errors import forbidden
from wherry.machinery.quantity import canonical


class RuntimeClass(AdmissionPlugin):
    """Kubernetes: RuntimeClass admission."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.subresource:
            return
        spec = draft["spec"]
        runtime = await self._class_of(spec, write, draft)
        if runtime is None:
            return
        overhead = (runtime.get("overhead") or {}).get("podFixed")
        if overhead:
            self._charge(spec, overhead, draft)
        scheduling = runtime.get("scheduling") or {}
        _narrow(spec, scheduling.get("nodeSelector") or {}, draft)
        known = spec.get("tolerations") or []
        more = [each for each in scheduling.get("tolerations") or () if each not in known]
        if more:
            spec["tolerations"] = [*known, *more]

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft["spec"]
        if write.subresource or not spec.get("overhead"):
            return
        runtime = await self._class_of(spec, write, draft)
        if runtime is None:
            raise _refused(draft, "Pod Overhead set without corresponding RuntimeClass defined Overhead")

    async def _class_of(self, spec: Draft, write: Write, draft: Draft) -> Draft | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        cache = self.server.cache.of(Runtime)
        stored = cache.get("", name)
        if stored is None:
            await self.server.cache.fresh()
            stored = cache.get("", name)
        if stored is None:
            raise _refused(draft, f"pod rejected: RuntimeClass {_quoted(name)} not found")
        return stored.draft(Runtime.kind)

    def _charge(self, spec: Draft, overhead: Draft, draft: Draft) -> None:
        given = spec.get("overhead")
        if given and _amounts(given) != _amounts(overhead):
            raise _refused(draft, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        spec["overhead"] = dict(overhead)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _amounts(overhead: Draft) -> dict[str, str]:
    return {name: canonical(amount) for name, amount in overhead.items()}


def _narrow(spec: Draft, selector: dict[str, str], draft: Draft) -> None:
    own = spec.get("nodeSelector") or {}
    for key, value in selector.items():
        if own.get(key, value) != value:
            why = "pod rejected: conflict in nodeSelector between pod and RuntimeClass: "
            raise _refused(draft, f"{why}{key} is {own[key]} and {value}")
    if selector:
        spec["nodeSelector"] = {**own, **selector}


def _refused(draft: Draft, why: str) -> Exception:
    return forbidden("pods", draft["metadata"].get("name", ""), why)
