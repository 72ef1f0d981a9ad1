"""The port of a component that serves nothing but what it says of itself."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.core import GaugeMetricFamily
from structlog.testing import capture_logs

from tests.apiserver.local_api import running_api
from tests.faults.cluster_keys import ClusterKeys
from tests.kubelet.local_transport import LocalTransport
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.serving.access import Access
from wherry.client.serving.port import Place, serving
from wherry.cluster.machine.ports import first_free


async def read(url: str, context: ssl.SSLContext) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
        return answer.status, await answer.text()


async def test_health_is_everybodys_and_metrics_are_for_those_who_may(tmp_path: Path):
    keys = ClusterKeys(tmp_path)
    keys.sign("ann")
    place = Place("127.0.0.1", first_free(20259), *(tmp_path / f for f in ("apiserver.crt", "apiserver.key", "ca.crt")))
    async with running_api() as api:
        way = LocalTransport(api, "system:kube-scheduler", ())
        access = Access(Client(Connection("https://api"), user_agent="test", transport=way))
        families = [GaugeMetricFamily("pods_that_wait", "Pods.", 3)]
        async with serving(place, access, lambda: families, after_seconds=0) as listens:
            await listens.wait()
            url = f"https://127.0.0.1:{place.port}"
            health = await read(f"{url}/healthz", keys.client_context(""))
            answers = {who: await read(f"{url}/metrics", keys.client_context(who)) for who in ("", "ann", "admin")}

    assert health == (200, "ok")
    assert answers[""] == (401, "Unauthorized")
    assert answers["ann"] == (403, 'forbidden: User "ann" cannot get path "/metrics"')
    assert answers["admin"][0] == 200
    assert "pods_that_wait 3.0" in answers["admin"][1]
    assert "process_resident_memory_bytes" in answers["admin"][1]


async def test_without_a_port_nothing_is_served():
    way: object = None
    async with serving(Place("", 0), way, list, after_seconds=0) as listens:  # type: ignore[arg-type]  # nobody is asked
        await asyncio.sleep(0)

    assert not listens.is_set()


async def test_a_port_that_another_program_has_is_had_when_that_is_gone(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("wherry.client.serving.port.RETRY_SECONDS", 0.0)
    ClusterKeys(tmp_path)
    files = (tmp_path / f for f in ("apiserver.crt", "apiserver.key", "ca.crt"))
    with socket.create_server(("127.0.0.1", 0)) as other, capture_logs() as logs:
        place = Place("127.0.0.1", other.getsockname()[1], *files)
        async with serving(place, Access(None), list, after_seconds=0) as listens:  # type: ignore[arg-type]
            for _ in range(100):
                await asyncio.sleep(0)
            was_listening = listens.is_set()
            other.close()
            await listens.wait()

    assert not was_listening
    assert logs[0]["event"] == "no metrics yet"
