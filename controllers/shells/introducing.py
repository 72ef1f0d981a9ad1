"""Introducing: watches the one config map that is signed for newcomers, for controllers/access/introduction.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controllers.access.introduction import NAME, NAMESPACE, plan
from controllers.shells.bench import Bench
from controllers.shells.desk import ShellDesk
from wherry.api.core.bootstrap_token import BootstrapToken
from wherry.api.core.config_map import ConfigMap
from wherry.client.http import Client
from wherry.client.informer import Change, Informer


class Introducing:
    """See the module. All other config maps would have to be kept in memory whole."""

    def __init__(self, client: Client, tokens: Informer[BootstrapToken], may_act: Callable[[], bool]) -> None:
        self._tokens = tokens
        self._info = Informer(client, ConfigMap, namespace=NAMESPACE, fields=f"metadata.name={NAME}")
        self._desk = ShellDesk("introduction", client, may_act)
        self._bench = Bench("introduction", self._sign, workers=1)
        self._info.subscribe(lambda _: self._bench.add(NAME))
        tokens.subscribe(self._token_changed)

    @property
    def is_idle(self) -> bool:
        """Whether every signature is there."""
        return self._bench.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._info.run(), name="informer of cluster-info")
            await self._info.synced()
            await self._tokens.synced()
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _token_changed(self, change: Change[BootstrapToken]) -> None:
        if any(token is not None and token.is_one for token in change):
            self._bench.add(NAME)

    async def _sign(self, _: str) -> None:
        info = self._info.get(f"{NAMESPACE}/{NAME}")
        if info is not None:
            await self._desk.carry_out(info, plan(info, self._tokens.shelf.all()))
