"""Heartbeats: how long ago each node gave a sign of life, measured on our own monotonic clock.

    heartbeats = Heartbeats(runner.informers)
    heartbeats("node-1")                 # seconds of silence

A sign of life is a renewed Lease in kube-node-lease or a new heartbeat in the Ready condition; what time stands in them
does not count, so clocks that are wrong or jump do no harm. A node of which nothing was heard yet counts as heard of
when it is first asked for, so that a new leader gives everyone the full grace. When a node's object goes, its silence
begins anew: that is how long it has been gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wherry.api.coordination.lease import Lease
from wherry.api.core.node import Node
from wherry.api.meta import find_condition
from wherry.client.informer import Change, Informer
from wherry.machinery.resource import Resource

LEASE_NAMESPACE = "kube-node-lease"


class Heartbeats:
    """See the module."""

    def __init__(self, informers: Mapping[type[Resource], Informer[Any]]) -> None:
        self._heard_at: dict[str, float] = {}
        informers[Lease].subscribe(self._lease_changed)
        informers[Node].subscribe(self._node_changed)

    def __call__(self, node: str) -> float:
        """Seconds since the node was last heard of."""
        now = asyncio.get_running_loop().time()
        return now - self._heard_at.setdefault(node, now)

    def of_all(self) -> float:
        """Seconds since any node was last heard of; 0 if none was asked for yet."""
        now = asyncio.get_running_loop().time()
        return now - max(self._heard_at.values(), default=now)

    def start_anew(self) -> None:
        """Count every silence from now on: until now nobody could be heard."""
        self._heard_at = dict.fromkeys(self._heard_at, asyncio.get_running_loop().time())

    def _lease_changed(self, change: Change[Lease]) -> None:
        before, after = change
        if after is None or after.metadata.namespace != LEASE_NAMESPACE:
            return
        if before is None or before.spec.renew_time != after.spec.renew_time:
            self._heard(after.metadata.name)

    def _node_changed(self, change: Change[Node]) -> None:
        before, after = change
        if before is None or after is None or _beat(before) != _beat(after):
            self._heard((after or before).metadata.name)  # type: ignore[union-attr]

    def _heard(self, node: str) -> None:
        self._heard_at[node] = asyncio.get_running_loop().time()


def _beat(node: Node) -> datetime | None:
    ready = find_condition(node.status.conditions, "Ready")
    return ready.last_heartbeat_time if ready else None
