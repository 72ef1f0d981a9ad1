"""What every backend of kube-proxy promises, each checked with real packets (the fake with none)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kubeproxy.rules import Frontend, Route, Rules, Target
from tests.kubeproxy.places import NONE, Place, open_place

WEB_1, WEB_2 = Target("10.244.0.11", 8080), Target("10.244.0.12", 8080)
WEB = Route("shop/web", "http", "TCP", 80, cluster_ips=("10.96.0.7",), node_port=30080, everywhere=(WEB_1, WEB_2))
NAMES = replace(WEB, service="shop/names", port_name="dns", protocol="UDP", port=53, node_port=30053)
CLUSTER_IP, NODE_PORT = Frontend("10.96.0.7", "TCP", 80), Frontend("", "TCP", 30080)


@pytest.fixture(params=["fake", "userspace", "userspace-rootless", "nftables", "nftables-bridged", "container"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with open_place(request.param) as place:
        yield place


@pytest.mark.parametrize("frontend", [CLUSTER_IP, NODE_PORT])
async def test_a_frontend_is_answered_by_each_of_its_targets(place: Place, frontend: Frontend):
    await place.backend.apply(Rules((WEB,)))

    answers = {await place.ask(frontend) for _ in range(24)}

    assert answers == {"web-1", "web-2"}


@pytest.mark.parametrize("frontend", [Frontend("10.96.0.7", "UDP", 53), Frontend("", "UDP", 30053)])
async def test_udp_is_answered_too(place: Place, frontend: Frontend):
    await place.backend.apply(Rules((NAMES,)))

    answers = {await place.ask(frontend) for _ in range(24)}

    assert answers == {"web-1", "web-2"}


async def test_a_target_that_is_no_longer_usable_gets_no_new_connection(place: Place):
    await place.backend.apply(Rules((WEB,)))
    await place.backend.apply(Rules((replace(WEB, everywhere=(WEB_2,)),)))

    answers = {await place.ask(CLUSTER_IP) for _ in range(10)}

    assert answers == {"web-2"}


@pytest.mark.parametrize("frontend", [CLUSTER_IP, NODE_PORT])
async def test_a_frontend_without_targets_refuses_at_once(place: Place, frontend: Frontend):
    await place.backend.apply(Rules((WEB,)))
    await place.backend.apply(Rules((replace(WEB, everywhere=()),)))

    assert await place.ask(frontend) == NONE


async def test_a_removed_route_refuses_and_the_others_stay(place: Place):
    other = replace(WEB, service="shop/other", cluster_ips=("10.96.0.8",), node_port=30081)
    await place.backend.apply(Rules((other, WEB)))
    await place.backend.apply(Rules((other,)))

    assert await place.ask(CLUSTER_IP) == NONE
    assert await place.ask(Frontend("10.96.0.8", "TCP", 80)) in ("web-1", "web-2")


@pytest.mark.parametrize("frontend", [CLUSTER_IP, NODE_PORT])
async def test_with_affinity_a_client_stays_with_its_target(place: Place, frontend: Frontend):
    await place.backend.apply(Rules((replace(WEB, affinity_seconds=60),)))

    answers = [await place.ask(frontend) for _ in range(12)]

    assert len(set(answers)) == 1


async def test_affinity_ends_with_the_target(place: Place):
    sticky = replace(WEB, affinity_seconds=60)
    await place.backend.apply(Rules((sticky,)))
    first = await place.ask(CLUSTER_IP)
    left = WEB_2 if first == "web-1" else WEB_1

    await place.backend.apply(Rules((replace(sticky, everywhere=(left,)),)))

    assert {await place.ask(CLUSTER_IP) for _ in range(4)} == {"web-1", "web-2"} - {first}


async def test_affinity_can_be_switched_off_and_on_again(place: Place):
    sticky = replace(WEB, affinity_seconds=60)
    await place.backend.apply(Rules((sticky,)))
    await place.backend.apply(Rules((WEB,)))
    assert len({await place.ask(CLUSTER_IP) for _ in range(24)}) == 2

    await place.backend.apply(Rules((replace(sticky, affinity_seconds=30),)))
    assert len({await place.ask(CLUSTER_IP) for _ in range(12)}) == 1


async def test_an_established_connection_outlives_a_change_of_targets(place: Place):
    await place.backend.apply(Rules((replace(WEB, everywhere=(WEB_1,)),)))
    async with place.connection(CLUSTER_IP) as ask_again:
        assert await ask_again() == "web-1"

        await place.backend.apply(Rules((replace(WEB, everywhere=(WEB_2,)),)))

        assert await ask_again() == "web-1"
    assert await place.ask(CLUSTER_IP) == "web-2"


async def test_no_connection_fails_while_rules_change(place: Place):
    versions = [Rules((replace(WEB, everywhere=targets),)) for targets in ((WEB_1,), (WEB_2,), (WEB_1, WEB_2))]
    await place.backend.apply(versions[0])
    answers: list[str] = []

    async def ask_all_along() -> None:
        while len(answers) < 150:
            answers.append(await place.ask(CLUSTER_IP))

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask_all_along())
        while not asking.done():
            await place.backend.apply(versions[len(answers) % 3])
            await asyncio.sleep(0)

    assert NONE not in answers


async def test_the_same_rules_again_change_nothing(place: Place):
    await place.backend.apply(Rules((WEB, NAMES)))
    await place.backend.apply(Rules((WEB, NAMES)))

    assert not await place.backend.repair()
    assert await place.ask(CLUSTER_IP) != NONE


async def test_after_clear_nothing_answers(place: Place):
    await place.backend.apply(Rules((WEB,)))
    await place.backend.clear()

    assert await place.ask(NODE_PORT) == NONE
    await place.backend.apply(Rules((WEB,)))
    assert await place.ask(NODE_PORT) != NONE
