"""Binder: asks the API server to bind pods, many in a request, until it has answered about each.

An answer may get lost after the binding was made. So a binding without a clear answer is asked for again, for the same
node: either it goes through, or the server says that the pod has a node already or is gone. Nothing that may have
been bound is ever given up, and so no room is given away twice.

A pod that comes alone is bound alone; pods that come while others are on their way wait and go together, as many as
there are. A server that takes no batches gets them one by one.

Kubernetes: the asynchronous binding cycle with DefaultBinder. Differs: there a lost answer frees the node after a
while, and every pod has its own request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from scheduler.pods import PodView
from scheduler.writes import binding
from wherry.api.core.binding import Binding
from wherry.api.core.pod import Pod
from wherry.client.backoff import Backoff
from wherry.client.batches import Batches, NoBatches
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, Conflict, NotFound

log = structlog.get_logger()

# First attempts on their way at the same time: while the server looks at one batch, the next one travels.
AT_ONCE = 2
# Pods in a batch, and pods whose own requests go out together where there are no batches; and those that may wait.
MOST_IN_BATCH, MOST_ALONE, WAITING = 100, 24, 512
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0


class Place(NamedTuple):
    """A pod and the node it shall be on."""

    pod: PodView
    node: str


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
        self._batches = Batches(client, Binding, may_act=may_act)
        self._group: asyncio.TaskGroup | None = None
        self._waiting: deque[Place] = deque()
        self._under_way = 0
        # Somebody has left the line; nobody is in it or on his way.
        self._moved, self._rests = asyncio.Event(), asyncio.Event()
        self._rests.set()

    async def bind(self, pod: PodView, node: str) -> None:
        """Bind a pod; returns when it has a place in the line. Who comes in the same turn of the loop goes with it."""
        while len(self._waiting) >= WAITING:
            self._moved.clear()
            await self._moved.wait()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.begin)
        self._waiting.append(Place(pod, node))
        self._rests.clear()

    def begin(self) -> None:
        """Send off those in line, if it is their turn, without waiting for who else comes in this turn of the loop."""
        while self._group is not None and self._waiting and self._under_way < AT_ONCE:
            self._under_way += 1
            self._group.create_task(self._settle(self._next()), name="binder")

    @property
    def is_at_rest(self) -> bool:
        """Whether every pod given to `bind` was asked for at least once."""
        return self._rests.is_set()

    async def rested(self) -> None:
        """Return when every pod given to `bind` was asked for at least once."""
        await self._rests.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self.begin()
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    def _next(self) -> list[Place]:
        most = MOST_IN_BATCH if self._batches.are_taken else MOST_ALONE
        self._moved.set()
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]

    async def _settle(self, places: list[Place]) -> None:
        try:
            open_ = await self._attempt(places)
        finally:
            # Who must be asked for again and again does not keep the others from theirs.
            self._under_way -= 1
            if not self._waiting and not self._under_way:
                self._rests.set()
        # In the next turn: who is planned in this one goes with them.
        asyncio.get_running_loop().call_soon(self.begin)
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while open_:
            await asyncio.sleep(backoff.next())
            open_ = await self._attempt(open_)

    async def _attempt(self, places: list[Place]) -> list[Place]:
        """Ask for the bindings; gives those about which nothing certain is known yet."""
        # Whoever leads now decides; the lost lead ends this process or its work at any moment.
        if not self._may_act():
            return places
        outcomes = await self._ask(places)
        open_ = []
        for place, outcome in zip(places, outcomes, strict=True):
            error = await self._what_is_there(place, outcome) if isinstance(outcome, Conflict) else outcome
            if error is _UNKNOWN or (error is not None and (error.code >= 500 or error.retry == "backoff")):
                log.warning("binding not answered", pod=place.pod.key, node=place.node, error=error.message)
                open_.append(place)
            else:
                self._report(Bound(*place, error))
        return open_

    async def _ask(self, places: Sequence[Place]) -> Sequence[ApiError | None]:
        if len(places) > 1 and self._batches.are_taken:
            try:
                return await self._batches.create([self._body(place) for place in places])
            except NoBatches as refusal:
                log.info("bindings go one by one", why=str(refusal))
            except ApiError as error:
                # Who lost the lead while he waited for his turn has sent nothing, and has no say in what becomes of it.
                return [error if self._may_act() else _UNKNOWN] * len(places)
        if len(places) == 1:
            return [await self._ask_alone(places[0])]
        return await asyncio.gather(*map(self._ask_alone, places))

    async def _ask_alone(self, place: Place) -> ApiError | None:
        path = Pod.kind.path(place.pod.metadata.namespace, place.pod.metadata.name, "binding")
        try:
            await self._client.request("POST", path, body=self._body(place))
        except ApiError as error:
            return error
        return None

    def _body(self, place: Place) -> dict[str, object]:
        return binding(place.pod.pod, place.node, self._record(place.pod))

    async def _what_is_there(self, place: Place, conflict: Conflict) -> ApiError | None:
        """A conflict may be our own earlier request that got through."""
        pod, node = place
        try:
            found = await self._client.get(Pod, pod.metadata.name, pod.metadata.namespace)
        except NotFound as error:
            return error
        except ApiError:
            return _UNKNOWN
        is_ours = found.metadata.uid == pod.uid and found.spec.node_name == node
        return None if is_ours else conflict


_UNKNOWN = ApiError("nobody knows yet")
