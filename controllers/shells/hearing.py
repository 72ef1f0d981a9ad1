"""Hearing: whether the silence of nodes means anything, or nobody can be heard because nothing can be written.

A full disk or a server that is away silences every node at once. So when no node was heard for longer than is usual,
we renew a Lease of our own: as long as that fails too, silence counts for nothing, and once it succeeds every node has
the full grace to be heard again. A cluster in which anybody is heard costs no write.

Kubernetes: leader election has this effect, as a controller manager that cannot renew its lease gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from controllers.shells.heartbeats import Heartbeats
from wherry.api.coordination.lease import Lease
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, NotFound
from wherry.machinery.time import micro_time_text

log = structlog.get_logger()

# Nodes renew every 10 s and are judged after 50. Those that nobody believed in for so long are judged already.
SUSPICIOUS_SECONDS, JUDGED_SECONDS = 20.0, 100.0
TRIES_EVERY_SECONDS = 5.0
NAMESPACE, NAME = "kube-system", "node-lifecycle-hearing"


class Hearing:
    """See the module."""

    def __init__(self, client: Client, heartbeats: Heartbeats, may_act: Callable[[], bool]) -> None:
        self._client, self._heartbeats, self._may_act = client, heartbeats, may_act

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            silence = self._heartbeats.of_all()
            if SUSPICIOUS_SECONDS <= silence < JUDGED_SECONDS and self._may_act() and not await self._can_write():
                self._heartbeats.start_anew()
            await asyncio.sleep(max(SUSPICIOUS_SECONDS - silence, TRIES_EVERY_SECONDS))

    async def _can_write(self) -> bool:
        renewal = {"spec": {"holderIdentity": "node-lifecycle", "renewTime": micro_time_text(clock.now())}}
        try:
            try:
                await self._client.patch(Lease, NAME, NAMESPACE, renewal)
            except NotFound:
                metadata = {"name": NAME, "namespace": NAMESPACE}
                kind = {"apiVersion": Lease.kind.api_version, "kind": Lease.kind.name}
                await self._client.create({**kind, "metadata": metadata, **renewal})
        except ApiError as error:
            log.warning("nodes cannot be heard, as nothing can be written", error=error.message)
            return False
        return True
