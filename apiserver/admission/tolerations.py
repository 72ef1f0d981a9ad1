"""DefaultTolerationSeconds: a pod leaves a node that stays silent after five minutes, unless it says otherwise."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write

SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(AdmissionPlugin):
    """Kubernetes: DefaultTolerationSeconds."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        tolerations = draft["spec"].setdefault("tolerations", [])
        for taint in _TAINTS:
            if not any(_covers(toleration, taint) for toleration in tolerations):
                added = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                tolerations.append(added)


def _covers(toleration: Draft, taint: str) -> bool:
    return toleration.get("key") in (None, "", taint) and toleration.get("effect") in (None, "", "NoExecute")
