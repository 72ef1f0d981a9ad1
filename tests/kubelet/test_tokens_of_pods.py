"""When a pod's token is asked for anew."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from kubelet.supplies.tokens import Tokens
from tests.make import a_pod
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.transport import Answer
from wherry.machinery.time import time_text
from wherry.sim.virtual_time import in_virtual_time


class Issuer:
    """Gives tokens for ten minutes, by a clock that is an hour behind."""

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        ends_at = clock.now() - timedelta(minutes=50)
        status: dict[str, Any] = {"token": "t", "expirationTimestamp": time_text(ends_at)}
        return Answer(201, {}, orjson.dumps({"status": status}))


@in_virtual_time
async def test_a_server_whose_clock_is_behind_is_not_asked_without_pause():
    client = Client(Connection("https://api"), user_agent="test", transport=Issuer())  # type: ignore[arg-type]

    token = await Tokens(client).token(a_pod("web"), "", 600)

    assert token.refresh_at == clock.now() + timedelta(minutes=1)
