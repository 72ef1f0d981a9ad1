"""DeviceRecords: which devices a pod has is written by its binding, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.resource.gpu import GRANTED, SHARE

RECORDS = (GRANTED, SHARE)


class DeviceRecords(AdmissionPlugin):
    """A copy of a pod's manifest brings no devices along, and no edit takes some."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    order = 6

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.subresource == "binding":
            return
        before = _records(((old or {}).get("metadata", {}).get("annotations")) or {})
        annotations = draft["metadata"].get("annotations") or {}
        if _records(annotations) == before:
            return
        kept = {name: text for name, text in annotations.items() if name not in RECORDS}
        draft["metadata"]["annotations"] = kept | before


def _records(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name: annotations[name] for name in RECORDS if name in annotations}
