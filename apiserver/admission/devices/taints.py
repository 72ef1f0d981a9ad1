"""DeviceTaints: the taint of a device says since when it is there, as tolerations for some seconds count from then.

Who writes a slice anew without the times does not change them. Kubernetes: the defaults of DeviceTaint.
"""

from __future__ import annotations

from typing import Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.machinery.time import time_text


class DeviceTaints(AdmissionPlugin):
    """See the module."""

    kinds: ClassVar[tuple[str, ...]] = (ResourceSlice.kind.resource,)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        known = {place: taint["timeAdded"] for place, taint in _taints(old or {}) if "timeAdded" in taint}
        for place, taint in _taints(draft):
            if not taint.get("timeAdded"):
                taint["timeAdded"] = known.get(place) or time_text(self.server.now())


def _taints(slice: Draft) -> list[tuple[tuple[Any, ...], Draft]]:
    """Every taint, by its device and what it says."""
    return [
        ((device.get("name"), taint.get("key"), taint.get("value"), taint.get("effect")), taint)
        for device in (slice.get("spec") or {}).get("devices") or ()
        for taint in device.get("taints") or ()
    ]
