"""Issuing: asks for the tokens that Secrets of service accounts hold, as controllers/access/account_tokens.py says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controllers.access.account_tokens import FIELDS, TokenSecret, lacks_token, plan, request_for
from controllers.shells.bench import Bench
from controllers.shells.desk import ShellDesk
from wherry.api.core.service_account import ServiceAccount
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import NotFound


class Issuing:
    """See the module. Only Secrets of this one type are kept in memory."""

    def __init__(
        self, client: Client, accounts: Informer[ServiceAccount], root_ca: str, may_act: Callable[[], bool]
    ) -> None:
        self._client, self._root_ca = client, root_ca
        self._secrets = Informer(client, TokenSecret, fields=FIELDS)
        self._accounts = accounts
        self._desk = ShellDesk("tokens", client, may_act)
        self._bench = Bench("tokens", self._keep, workers=2)
        self._secrets.subscribe(self._secret_changed)
        accounts.subscribe(self._account_changed)

    @property
    def is_idle(self) -> bool:
        """Whether every Secret has its token."""
        return self._bench.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._secrets.run(), name="informer of token secrets")
            await self._secrets.synced()
            await self._accounts.synced()
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _secret_changed(self, change: Change[TokenSecret]) -> None:
        if change.after is not None:
            self._bench.add(change.after.key)

    def _account_changed(self, change: Change[ServiceAccount]) -> None:
        """Only who comes or goes matters, and both are rare."""
        if change.before is None or change.after is None:
            account = change.after or change.before
            for secret in self._secrets.shelf.in_namespace(account.metadata.namespace) if account else ():
                if account is not None and secret.account == account.metadata.name:
                    self._bench.add(secret.key)

    async def _keep(self, key: str) -> None:
        secret = self._secrets.get(key)
        if secret is None:
            return
        account = await self._account_of(secret)
        token = await self._token_for(secret) if lacks_token(secret, account) else ""
        await self._desk.carry_out(secret, plan(secret, account, token, self._root_ca))

    async def _account_of(self, secret: TokenSecret) -> ServiceAccount | None:
        """The server is asked before a Secret is deleted: the copy may be old."""
        namespace = secret.metadata.namespace
        known = self._accounts.get(f"{namespace}/{secret.account}")
        if secret.is_for(known):
            return known
        try:
            return await self._client.get(ServiceAccount, secret.account, namespace)
        except NotFound:
            return None

    async def _token_for(self, secret: TokenSecret) -> str:
        path = ServiceAccount.kind.path(secret.metadata.namespace, secret.account, "token")
        answer = await self._client.request("POST", path, body=request_for(secret))
        return str(answer["status"]["token"])
