"""Tells which API servers there are: each renews a Lease of its own in kube-system. Kubernetes: API server identity.

Differs: the name comes from host and port, because several servers may live on one machine. The Leases of servers that
are no more are deleted by controllers/server_leases.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from base64 import b32encode
from typing import TYPE_CHECKING, Any

import structlog

from apiserver.bootstrap import ensure
from apiserver.ownership.entries import Author
from apiserver.request import SERVER_ITSELF
from apiserver.storage.store import StoreError
from apiserver.writing.rest import Write
from wherry.api.coordination.lease import IDENTITY, SERVERS, Lease
from wherry.machinery.errors import ApiError
from wherry.machinery.time import micro_time_text

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

NAMESPACE = "kube-system"
# Kubernetes: identity-lease-duration-seconds and identity-lease-renew-interval-seconds.
LEASE_SECONDS, RENEW_SECONDS = 3600, 10.0
_MOST_LABEL = 63

Draft = dict[str, Any]


class Presence:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        host = server.settings.hostname
        digest = hashlib.sha256(f"{host}:{server.settings.port}".encode()).digest()[:16]
        self.name = "apiserver-" + b32encode(digest).decode().rstrip("=").lower()
        # Another life is another holder.
        self._holder = f"{self.name}_{uuid.uuid5(uuid.NAMESPACE_URL, server.now().isoformat())}"
        self._labels = {IDENTITY: SERVERS, "kubernetes.io/hostname": host[:_MOST_LABEL].rstrip("-.")}

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            try:
                await self.renew()
            except (ApiError, StoreError) as error:
                log.warning("this server's lease is not renewed; trying again", lease=self.name, error=str(error))
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Say that this server is there, anew if the Lease is gone."""
        server = self._server
        metadata = {"name": self.name, "namespace": NAMESPACE, "labels": self._labels}
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_time_text(server.now()),
        }
        if server.cache.of(Lease).get(NAMESPACE, self.name) is None:
            kind = {"kind": Lease.kind.name, "apiVersion": Lease.kind.api_version}
            await ensure(server, {**kind, "metadata": metadata, "spec": spec})
            return
        write = Write(Lease, "UPDATE", NAMESPACE, self.name, SERVER_ITSELF)
        write.author = Author("kube-apiserver", Lease.kind.api_version)
        await server.rest(Lease).update(lambda stored: {**stored, "spec": spec}, write)
