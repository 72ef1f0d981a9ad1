"""DefaultTolerationSeconds: a pod leaves a node that stays silent after five minutes, unless it says otherwise.

The API server's `--default-not-ready-toleration-seconds` and `--default-unreachable-toleration-seconds` say how many.
"""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write

_NOT_READY, _UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(AdmissionPlugin):
    """Kubernetes: DefaultTolerationSeconds."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        tolerations = draft["spec"].setdefault("tolerations", [])
        settings = self.server.settings
        waits = {
            _NOT_READY: settings.not_ready_toleration_seconds,
            _UNREACHABLE: settings.unreachable_toleration_seconds,
        }
        for taint, seconds in waits.items():
            if not any(_covers(toleration, taint) for toleration in tolerations):
                added = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
                tolerations.append(added)


def _covers(toleration: Draft, taint: str) -> bool:
    return toleration.get("key") in (None, "", taint) and toleration.get("effect") in (None, "", "NoExecute")
