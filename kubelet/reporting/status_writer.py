"""Writes a pod's status to the API server: the newest only, in the background, until it is accepted.

The pod's work never waits for the API server; what happened while it was away arrives as one patch.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from kubelet.status import OWN_CONDITIONS, status_patch
from wherry.api.core.pod import Pod
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, Conflict, Invalid, NotFound

log = structlog.get_logger()

Json = dict[str, Any]


class StatusWriter:
    """One per pod. `offered` is the newest status, `written` the last one that the API server accepted."""

    def __init__(self, client: Client, pod: Pod) -> None:
        self._client = client
        self._name, self._namespace, self._uid = pod.metadata.name, pod.metadata.namespace, pod.metadata.uid
        self.written: Json = pod.status.to_wire()
        self.offered: Json = self.written
        # That of our last write: what the watch shows of before is no news.
        self._revision = 0
        self._changed_by_others: Json = {}
        self._offered = asyncio.Event()
        self._accepted = asyncio.Event()
        self._backoff = Backoff(0.1, 10.0)

    def saw(self, pod: Pod) -> None:
        """The API server shows this now. What others made of our conditions is undone with the next offer."""
        if int(pod.metadata.resource_version) >= self._revision:
            self._compare([condition.to_wire() for condition in pod.status.conditions])

    def _compare(self, conditions: list[Json]) -> None:
        theirs = {condition.get("type"): condition.get("status") for condition in conditions}
        ours = {condition["type"]: condition["status"] for condition in self.written.get("conditions") or ()}
        if any(theirs.get(type) != status for type, status in ours.items() if type in OWN_CONDITIONS):
            self._changed_by_others = {"conditions": conditions}
            self.written = self.written | self._changed_by_others

    @property
    def before(self) -> Json:
        """What was offered last, but with conditions as others have made them: they changed, and change back now."""
        return self.offered | self._changed_by_others

    def offer(self, status: Json) -> None:
        """Report this from now on."""
        self.offered, self._changed_by_others = status, {}
        if status != self.written:
            self._accepted.clear()
            self._offered.set()
        else:
            self._accepted.set()

    async def accepted(self) -> None:
        """Return when the API server has what was offered, or the pod is gone there."""
        await self._accepted.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._offered.wait()
            self._offered.clear()
            offered = self.offered
            try:
                await self._write(offered)
            except ApiError as error:
                if not _is_final(error):
                    log.warning("status not written", pod=f"{self._namespace}/{self._name}", error=str(error))
                    await asyncio.sleep(self._backoff.next())
                    self._offered.set()
                    continue
                log.info("status has no taker", pod=f"{self._namespace}/{self._name}", error=str(error))
                self.written = offered
            self._backoff.reset()
            if self.offered is offered:
                self._accepted.set()

    async def _write(self, status: Json) -> None:
        patch = status_patch(self._uid, self.written, status)
        if patch is None:
            self.written = status
            return
        answer = await self._client.patch(
            Pod, self._name, self._namespace, patch, subresource="status", type="strategic"
        )
        self.written, self._revision = status, int(answer["metadata"]["resourceVersion"])
        # Others may have written in between, and our patch named only what we had changed.
        self._compare(answer.get("status", {}).get("conditions") or [])


def _is_final(error: ApiError) -> bool:
    """Whether the same status need not be sent again: the pod is gone, another one has its name, or it is no status.

    A conflict of another sort is one of many writers at a time.
    """
    is_another_pod = isinstance(error, Conflict) and "Precondition failed" in error.message
    return is_another_pod or isinstance(error, NotFound | Invalid)
