"""A server that is starting: probes are answered, everybody else waits until it knows its objects."""

import asyncio

from apiserver.server import Server, Settings
from apiserver.steps.readiness import PATIENCE_SECONDS
from apiserver.storage.memory import MemoryStore
from tests.apiserver.local_api import Api, service_account_key
from tests.apiserver.test_objects import MAPS
from wherry.sim.virtual_time import in_virtual_time


def a_starting_server() -> Api:
    return Api(Server(MemoryStore(), Settings(service_account_key=service_account_key())))


@in_virtual_time
async def test_requests_wait_for_a_server_that_starts():
    api = a_starting_server()
    asked = asyncio.ensure_future(api.get(MAPS))
    await asyncio.sleep(1)
    assert not asked.done()

    running = asyncio.ensure_future(api.server.run())

    assert (await asked).status == 200
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_health_tells_at_once_that_it_is_not_ready():
    api = a_starting_server()

    live, ready = [await api.get(path, user=None) for path in ("/livez", "/readyz")]

    assert (live.status, ready.status) == (200, 500)
    assert b"[-]watch-cache failed: not done" in ready.body


@in_virtual_time
async def test_a_server_that_does_not_come_up_says_when_to_try_again():
    answer = await a_starting_server().get(MAPS)

    assert asyncio.get_running_loop().time() == PATIENCE_SECONDS
    assert answer.error[:2] == (503, "ServiceUnavailable")
    assert answer.header("retry-after") == "1"
