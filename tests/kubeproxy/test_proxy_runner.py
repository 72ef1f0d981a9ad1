"""The whole proxy on a fake API server and a fake backend: how fast and how often it acts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from client.fake_api import FakeApi
from make import a_service

from kubeproxy import runner
from kubeproxy.backends import BackendError
from kubeproxy.backends.fake import FakeBackend
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.zone import Zone, ZoneSettings
from kubeproxy.plan import Here
from kubeproxy.rules import Frontend, Rules, Target
from kubeproxy.runner import Proxy, ProxySettings
from tests.kubeproxy.slices import a_slice, an_endpoint

WEB = a_service("web", ports=({"name": "http", "port": 80},), cluster_ip="10.96.0.7")
FRONTEND = Frontend("10.96.0.7", "TCP", 80)


class RecordingBackend(FakeBackend):
    """Fails as often as `failures` says, and remembers what was applied."""

    failures = 0

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Rules] = []
        self.applied = asyncio.Event()

    async def apply(self, rules: Rules) -> None:
        if self.failures:
            self.failures -= 1
            raise BackendError("not now")
        self.history.append(rules)
        await super().apply(rules)
        self.applied.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self.applied.clear()
                await self.applied.wait()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def backend(api: FakeApi) -> AsyncIterator[RecordingBackend]:
    backend = RecordingBackend()
    proxy = Proxy(api.client(), backend, Responder(Zone()), ProxySettings(Here("node-1"), ZoneSettings()))
    api.put(WEB)
    api.put(a_slice("web", an_endpoint("10.244.0.5")))
    running = asyncio.create_task(proxy.run())
    yield backend
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_there_at_the_start_is_applied_whole_and_once(backend: RecordingBackend):
    await backend.until(lambda: bool(backend.history))

    assert backend.connect(FRONTEND, "10.244.0.9") == Target("10.244.0.5", 8080)
    assert all(rules.routes for rules in backend.history)


async def test_a_changed_endpoint_is_in_force_within_a_watch_event(api: FakeApi, backend: RecordingBackend):
    await backend.until(lambda: bool(backend.history))

    api.put(a_slice("web", an_endpoint("10.244.0.6")))

    await backend.until(lambda: backend.connect(FRONTEND, "10.244.0.9") == Target("10.244.0.6", 8080))


async def test_a_burst_of_changes_shares_a_few_plans(api: FakeApi, backend: RecordingBackend):
    await backend.until(lambda: bool(backend.history))

    for number in range(100):
        api.put(a_slice("web", an_endpoint(f"10.244.1.{number}")))
    await backend.until(lambda: backend.connect(FRONTEND, "10.244.0.9") == Target("10.244.1.99", 8080))

    assert len(backend.history) <= 5


async def test_what_fails_is_tried_again(api: FakeApi, backend: RecordingBackend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)
    backend.failures = 2

    await backend.until(lambda: backend.connect(FRONTEND, "10.244.0.9") == Target("10.244.0.5", 8080))
