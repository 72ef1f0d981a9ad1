"""Cluster addresses and node ports: nobody gets what somebody else has, also when an answer did not come in time."""

import asyncio
from typing import Any

import pytest

from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Entry
from tests.apiserver.local_api import CORE, running_api

SERVICES = f"{CORE}/services"
TAKEN = "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"


class Slow(MemoryStore):
    """A store that writes a service at once, and answers too late."""

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        entry = await super().put(key, value, expected=expected)
        if key.endswith("/slow"):
            await asyncio.sleep(1)
        return entry


def a_service(name: str, **more: Any) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 30080}]
    return {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": ports, **more}}


async def test_a_write_that_was_given_up_keeps_its_port():
    async with running_api(Slow()) as api:
        slow = await api.post(SERVICES, a_service("slow"), query={"timeout": "20ms"})
        other = await api.post(SERVICES, a_service("other"))

        assert (slow.status, other.status) == (504, 422)
        assert TAKEN in other.json["message"]


@pytest.mark.parametrize("options", [{"query": {"dryRun": "All"}}, {"user": "eve", "groups": ()}])
async def test_what_was_not_written_gives_its_port_back(options: dict[str, Any]):
    async with running_api() as api:
        await api.post(SERVICES, a_service("first"), **options)

        assert (await api.post(SERVICES, a_service("second"))).status == 201
        assert (await api.post(SERVICES, a_service("second"))).status == 422


async def test_a_name_that_is_taken_gives_its_port_back():
    async with running_api() as api:
        await api.made(SERVICES, {**a_service("a"), "spec": {"ports": [{"port": 80}]}})
        refused = await api.post(SERVICES, a_service("a"))

        assert (refused.status, (await api.post(SERVICES, a_service("b"))).status) == (409, 201)
