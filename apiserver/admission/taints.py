"""TaintNodesByCondition: a new node takes no pods until its conditions have been seen to be good."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(AdmissionPlugin):
    """Kubernetes: TaintNodesByCondition. The node lifecycle controller takes the taint away."""

    kinds: ClassVar[tuple[str, ...]] = ("nodes",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        taints = draft.setdefault("spec", {}).setdefault("taints", [])
        if not any(taint.get("key") == NOT_READY["key"] and taint.get("effect") == "NoSchedule" for taint in taints):
            taints.append(dict(NOT_READY))
