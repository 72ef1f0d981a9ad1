"""Who writes a network policy hears that nobody here acts on it: one that is believed in and does nothing does harm."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write

WARNING = "nothing in this cluster enforces network policies: pods stay reachable, whatever this one says"


class NetworkPolicyWarning(AdmissionPlugin):
    """A warning, as kubectl shows it. Kubernetes: none; there it depends on the network that was chosen."""

    kinds: ClassVar[tuple[str, ...]] = ("networkpolicies.networking.k8s.io",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        write.warnings.append(WARNING)
