"""Writes a pod's status to the API server: the newest only, in the background, until it is accepted.

The pod's work never waits for the API server; what happened while it was away arrives as one patch.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from kubelet.status import status_patch
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
        self._offered = asyncio.Event()
        self._accepted = asyncio.Event()
        self._backoff = Backoff(0.1, 10.0)

    def offer(self, status: Json) -> None:
        """Report this from now on."""
        self.offered = status
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
                patch = status_patch(self._uid, self.written, offered)
                if patch is not None:
                    await self._client.patch(
                        Pod, self._name, self._namespace, patch, subresource="status", type="strategic"
                    )
            except (NotFound, Conflict):
                # The pod is gone, or another one has its name: there is nobody left to tell.
                log.debug("status has no pod", pod=f"{self._namespace}/{self._name}", uid=self._uid)
            except ApiError as error:
                log.warning("status not written", pod=f"{self._namespace}/{self._name}", error=str(error))
                if not isinstance(error, Invalid):
                    await asyncio.sleep(self._backoff.next())
                    self._offered.set()
                    continue
            self._backoff.reset()
            self.written = offered
            if self.offered is offered:
                self._accepted.set()
