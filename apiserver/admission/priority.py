"""Priority: the name of a priority class becomes the number that the scheduler compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.scheduling.priority_class import PriorityClass
from wherry.machinery.errors import forbidden

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import ResourceCache
    from apiserver.server import Server


class Priority(AdmissionPlugin):
    """Kubernetes: Priority admission."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._found: Draft = {}
        self._found_at = -1

    def _default(self, cache: ResourceCache) -> Draft:
        """The class of pods that name none, or an empty draft; looked for when there are other classes."""
        if self._found_at != cache.revision:
            classes = [stored.draft(PriorityClass.kind) for stored in cache.objects()]
            globals_ = [each for each in classes if each.get("globalDefault")]
            self._found = min(globals_, key=lambda each: each.get("value", 0), default={})
            self._found_at = cache.revision
        return self._found

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft["spec"]
        cache = self.server.cache.of(PriorityClass)
        name = spec.get("priorityClassName")
        if name:
            stored = cache.get("", name)
            if stored is None:
                why = f"no PriorityClass with name {name} was found"
                raise forbidden("pods", draft["metadata"].get("name", ""), why)
            chosen = stored.draft(PriorityClass.kind)
        else:
            chosen = self._default(cache)
            if chosen:
                spec["priorityClassName"] = chosen["metadata"]["name"]
        priority = chosen.get("value", 0)
        if spec.get("priority") not in (None, priority):
            why = f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            why += f"priority admission controller computed {priority} from the given PriorityClass name"
            raise forbidden("pods", draft["metadata"].get("name", ""), why)
        spec["priority"] = priority
        spec["preemptionPolicy"] = spec.get("preemptionPolicy") or chosen.get(
            "preemptionPolicy", "PreemptLowerPriority"
        )
