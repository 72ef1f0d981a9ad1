"""ShellDesk: carries out the actions of plans that see a world made for the occasion."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from wherry.api.core.pod import Pod
from wherry.client.act import Act, Desk
from wherry.client.batches import Batches, Deletions
from wherry.client.events import EventRecorder
from wherry.client.fence import Fence
from wherry.client.http import Client
from wherry.client.plan import Action
from wherry.client.world import World
from wherry.machinery.resource import Resource

log = structlog.get_logger()


class ShellDesk:
    """See the module. There is no fence: these shells ask the server before each plan."""

    def __init__(self, name: str, client: Client, may_act: Callable[[], bool], *, component: str = "") -> None:
        self.recorder = EventRecorder(client, component or f"{name}-controller", may_act=may_act)
        self._name = name
        pods, deletions = Batches(client, Pod, may_act=may_act), Deletions(client, may_act)
        self._desk = Desk(client, self.recorder, Fence(client, {}), may_act, pods, deletions)

    async def carry_out(self, planned: Resource, actions: Iterable[Action]) -> float | None:
        """Act on a plan about one object, which is all its world; says when to look again. Raises `ApiError`."""
        act = Act(self._desk, planned.key, planned, World(planned))
        try:
            await act.carry_out(list(actions))
        finally:
            if act.done:
                log.info("plan", controller=self._name, **{planned.kind.name.lower(): planned.key}, **act.done)
        return act.check_after
