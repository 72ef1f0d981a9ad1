"""DeviceRecords: which devices a pod has is written by its binding, and by nothing else."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.resource.gpu import GRANTED


class DeviceRecords(AdmissionPlugin):
    """A copy of a pod's manifest brings no devices along, and no edit takes some."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    order = 6

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.subresource == "binding":
            return
        before = ((old or {}).get("metadata", {}).get("annotations") or {}).get(GRANTED)
        annotations = draft["metadata"].get("annotations") or {}
        if annotations.get(GRANTED) == before:
            return
        kept = {name: text for name, text in annotations.items() if name != GRANTED}
        draft["metadata"]["annotations"] = kept | ({} if before is None else {GRANTED: before})
