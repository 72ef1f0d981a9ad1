"""How a status reaches the API server when others write, too."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from kubelet.reporting.status_writer import StatusWriter
from tests.make import a_pod
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.transport import Answer
from wherry.machinery.errors import Conflict
from wherry.sim.virtual_time import in_virtual_time

ACCEPTED = {"metadata": {"resourceVersion": "7"}, "status": {}}


class Server:
    """Answers one request after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.written: list[Any] = []

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        answer = self._answers.pop(0)
        if isinstance(answer, Conflict):
            return Answer(409, {}, orjson.dumps(answer.to_status()))
        self.written.append(orjson.loads(body or b"{}")["status"])
        return Answer(200, {}, orjson.dumps(answer))


@pytest.mark.parametrize(
    ("answers", "written"),
    [
        ([Conflict("the object has been modified"), ACCEPTED], [{"phase": "Running"}]),
        ([Conflict("Precondition failed: UID in precondition: a, UID in object meta: b")], []),
    ],
)
@in_virtual_time
async def test_a_status_is_sent_again_unless_the_pod_is_another(answers: list[Any], written: list[Any]):
    server = Server(*answers)
    client = Client(Connection("https://api"), user_agent="test", transport=server)  # type: ignore[arg-type]
    writer = StatusWriter(client, a_pod("web"))
    running = asyncio.create_task(writer.run())

    writer.offer(writer.written | {"phase": "Running"})
    await writer.accepted()

    assert server.written == written
    running.cancel()
