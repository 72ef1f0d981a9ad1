"""All controllers, put together: what the process runs, and what a simulation or a test runs inside its own.

controllers = Controllers(client, Settings(root_ca=pem), may_act=leader.holds)
await leader.lead(controllers.run)
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import controllers
import wherry.api.kinds  # noqa: F401  # registers every kind
from controllers.node_lifecycle import GRACE_SECONDS, node_lifecycle_controller
from controllers.root_ca import root_ca_controller
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.client.controller import Controller, all_controllers
from wherry.client.http import Client
from wherry.client.runner import Runner

# Those that are no controllers: importing them costs time, or starts something.
_APART = ("controllers.__main__", "controllers.assembly", "controllers.shells")


@dataclass(frozen=True)
class Settings:
    """What an operator decides. `root_ca` is PEM; without it no certificate is published."""

    root_ca: str = ""
    node_grace_seconds: float = GRACE_SECONDS


def declared_controllers() -> list[Controller]:
    """Every controller that a module of this package declares: to add one, add its file."""
    for module in pkgutil.walk_packages(controllers.__path__, "controllers."):
        if not module.name.startswith(_APART):
            importlib.import_module(module.name)
    return [one for one in all_controllers() if one.plan.__module__.startswith("controllers.")]


class Controllers:
    """See the module. `may_act` is asked before each write. Runs once."""

    def __init__(self, client: Client, settings: Settings, *, may_act: Callable[[], bool] = lambda: True) -> None:
        from controllers.shells.collecting import Collecting
        from controllers.shells.emptying import Emptying
        from controllers.shells.heartbeats import Heartbeats
        from controllers.shells.sweeping import Sweeping

        plans = declared_controllers()
        # Nodes are judged by what only exists once there are informers.
        plans.append(node_lifecycle_controller(lambda node: heartbeats(node), settings.node_grace_seconds))
        if settings.root_ca:
            plans.append(root_ca_controller(settings.root_ca))
        self.runner = Runner(client, plans, may_act=may_act)
        informers = self.runner.informers
        heartbeats = Heartbeats(informers)
        self._emptying = Emptying(client, informers[Namespace], informers[Pod], may_act)
        self._collecting = Collecting(client, informers, may_act)
        self._sweeping = Sweeping(client, informers, heartbeats, may_act)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do just now, but what waits for a time."""
        return self.runner.is_idle and self._emptying.is_idle and self._collecting.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self.runner, self._emptying, self._collecting, self._sweeping):
                group.create_task(part.run(), name=type(part).__name__.lower())
