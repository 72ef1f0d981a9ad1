"""Binder: asks the API server to bind pods, many at a time, until it has answered about each.

An answer may get lost after the binding was made. So a request without a clear answer is sent again, for the same
node: either it goes through, or the server says that the pod has a node already or is gone. Nothing that may have
been bound is ever given up, and so no room is given away twice.

Kubernetes: the asynchronous binding cycle with DefaultBinder. Differs: there a lost answer frees the node after a
while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from scheduler.pods import PodView
from scheduler.writes import binding
from wherry.api.core.pod import Pod
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, Conflict, NotFound

log = structlog.get_logger()

# Requests on their way at the same time, and pods that may wait for that.
WORKERS = 48
WAITING = 512
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0


class Bound(NamedTuple):
    """How a binding ended: without an error, the pod is on the node."""

    pod: PodView
    node: str
    error: ApiError | None = None


class Binder:
    """Runs until cancelled. `report` is called once per pod given to `bind`; `may_act` is asked before each write.

    What `record` gives for a pod is written into it with the binding.
    """

    def __init__(
        self,
        client: Client,
        report: Callable[[Bound], None],
        may_act: Callable[[], bool],
        record: Callable[[PodView], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self._client, self._report, self._may_act, self._record = client, report, may_act, record
        self._waiting: asyncio.Queue[tuple[PodView, str]] = asyncio.Queue(WAITING)

    async def bind(self, pod: PodView, node: str) -> None:
        """Bind a pod; returns when it has a place in the line."""
        await self._waiting.put((pod, node))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work(), name="binder")

    async def _work(self) -> None:
        while True:
            pod, node = await self._waiting.get()
            error = await self._outcome(pod, node)
            self._report(Bound(pod, node, error))

    async def _outcome(self, pod: PodView, node: str) -> ApiError | None:
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        path = Pod.kind.path(pod.metadata.namespace, pod.metadata.name, "binding")
        while True:
            try:
                # Whoever leads now decides; the lost lead ends this process or its work at any moment.
                if self._may_act():
                    await self._client.request("POST", path, body=binding(pod.pod, node, self._record(pod)))
                    return None
            except Conflict as error:
                outcome = await self._what_is_there(pod, node, error)
                if outcome is not _UNKNOWN:
                    return outcome
            except ApiError as error:
                if error.code < 500 and error.retry != "backoff":
                    return error
                log.warning("binding not answered", pod=pod.key, node=node, error=error.message)
            await asyncio.sleep(backoff.next())

    async def _what_is_there(self, pod: PodView, node: str, conflict: Conflict) -> ApiError | None:
        """A conflict may be our own earlier request that got through."""
        try:
            found = await self._client.get(Pod, pod.metadata.name, pod.metadata.namespace)
        except NotFound as error:
            return error
        except ApiError:
            return _UNKNOWN
        is_ours = found.metadata.uid == pod.uid and found.spec.node_name == node
        return None if is_ours else conflict


_UNKNOWN = ApiError("nobody knows yet")
