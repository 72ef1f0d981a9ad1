"""Cluster addresses and node ports: nobody gets what somebody else has, also when an answer did not come in time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Entry
from apiserver.writing.claims import Claims
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


class Shared(MemoryStore):
    """A store that two servers write to."""

    is_shared = True


async def test_two_servers_never_give_one_port_to_two_services():
    store = Shared()
    async with running_api(store) as one, running_api(store) as other:
        names = [f"s{number}" for number in range(20)]
        asked = [(one if number % 2 else other).post(SERVICES, a_service(name)) for number, name in enumerate(names)]
        statuses = [answer.status for answer in await asyncio.gather(*asked)]

        assert sorted(statuses) == [201] + 19 * [422]


async def test_two_servers_share_what_is_free_and_what_is_given_back():
    store, small, plain = Shared(), {"service_cidr": "10.96.0.0/27"}, {"spec": {"ports": [{"port": 80}]}}
    async with running_api(store, **small) as one, running_api(store, **small) as other:
        asked = [
            (one, other)[number % 2].post(SERVICES, {"metadata": {"name": f"s{number}"}, **plain})
            for number in range(29)
        ]
        made = [answer.json["spec"]["clusterIP"] for answer in await asyncio.gather(*asked)]
        full = await one.post(SERVICES, {"metadata": {"name": "more"}, **plain})
        await other.delete(f"{SERVICES}/s3")
        again = await one.post(SERVICES, {"metadata": {"name": "more"}, **plain})

    assert len(set(made)) == 29
    assert (full.status, again.status) == (500, 201)
    assert again.json["spec"]["clusterIP"] == made[3]


async def test_a_claim_that_a_dead_server_left_behind_is_taken_over_when_it_is_old():
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    store = Shared()
    await Claims(store, lambda: moment).take(30080, "/registry/services/specs/default/lost")

    young = await Claims(store, lambda: moment + timedelta(minutes=4)).take(30080, "other")
    old = await Claims(store, lambda: moment + timedelta(minutes=6)).take(30080, "other")

    assert (young, old) == (False, True)


async def test_a_deletion_without_an_answer_gives_its_port_back_all_the_same():
    async with running_api(Slow()) as api:
        await api.made(SERVICES, a_service("quick"))
        await api.server.store.delete("/registry/services/specs/default/quick", expected=api.server.cache.applied)

        assert (await api.post(SERVICES, a_service("other"))).status == 201
