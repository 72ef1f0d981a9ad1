"""Batches are asked for as long as the server takes them, and again some time after it did not."""

import asyncio
from typing import Any

import pytest
from fake_api import FakeApi, Perform
from make import a_pod

from wherry.api.core.binding import Binding
from wherry.client.batches import DELETED_TOGETHER, REFUSED_SECONDS, Batches, Deletions, NoBatches, parcels
from wherry.client.http import delete_options
from wherry.machinery.errors import Conflict, Forbidden, MethodNotAllowed, Unavailable
from wherry.sim.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_refusal_is_not_for_ever():
    refusals = iter([Forbidden("not yet")])

    async def disturb(method: str, path: str, perform: Perform) -> Any:
        if refusal := next(refusals, None):
            raise refusal
        return {"items": [{"status": "Success"}]}

    batches = Batches(FakeApi(disturb=disturb).client(), Binding)
    with pytest.raises(NoBatches):
        await batches.create([{}])
    said = [batches.are_taken]
    await asyncio.sleep(REFUSED_SECONDS)
    said.append(batches.are_taken)

    assert await batches.create([{}]) == [None]
    assert [*said, batches.are_taken] == [False, True, True]


def test_parcels_are_bounded_in_number_and_size():
    small, large = {"a": 1}, {"a": "x" * 90}

    assert list(parcels([small] * 5, 2, 1000)) == [[small, small], [small, small], [small]]
    assert list(parcels([small, large, large, small], 9, 100)) == [[small], [large], [large], [small]]


PODS = "/api/v1/namespaces/default/pods"


async def wishes(deletions: Deletions, *names: str) -> list[BaseException | None]:
    asked = (deletions.delete(a_pod(name), delete_options()) for name in names)
    return await asyncio.gather(*asked, return_exceptions=True)


@in_virtual_time
async def test_pods_that_go_in_one_turn_go_together():
    refused = {"status": "Failure", "code": 409, "reason": "Conflict", "message": "another one"}

    async def disturb(method: str, path: str, perform: Perform) -> Any:
        return {"items": [{"status": "Success"}, refused]} if path == "/api/v1/pods" else {}

    api = FakeApi(disturb=disturb)
    deletions = Deletions(api.client())

    [gone, kept] = await wishes(deletions, "a", "b")
    [alone] = await wishes(deletions, "c")

    assert [gone, alone, type(kept)] == [None, None, Conflict]
    assert api.requests == ["DELETE /api/v1/pods", f"DELETE {PODS}/c"]


@in_virtual_time
async def test_a_server_that_knows_nothing_of_it_is_asked_for_each_pod():
    async def disturb(method: str, path: str, perform: Perform) -> Any:
        if path == "/api/v1/pods":
            raise MethodNotAllowed("not here", {})
        return {}

    api = FakeApi(disturb=disturb)
    deletions = Deletions(api.client())

    assert await wishes(deletions, "a", "b") == await wishes(deletions, "c", "d") == [None, None]
    assert api.requests == ["DELETE /api/v1/pods", *(f"DELETE {PODS}/{name}" for name in "abcd")]


@in_virtual_time
async def test_whoever_is_carried_hears_that_the_carrier_was_stopped():
    deletions = Deletions(FakeApi().client())
    carrier = asyncio.ensure_future(deletions.delete(a_pod("a"), delete_options()))
    carried = asyncio.ensure_future(deletions.delete(a_pod("b"), delete_options()))
    await asyncio.sleep(0)

    carrier.cancel()
    [_, heard] = await asyncio.gather(carrier, carried, return_exceptions=True)

    assert type(heard) is Unavailable
    assert len(await wishes(deletions, *map(str, range(DELETED_TOGETHER + 1)))) == DELETED_TOGETHER + 1


@in_virtual_time
async def test_who_has_lost_the_lead_while_waiting_for_a_turn_writes_nothing():
    leads, answer = [True], asyncio.Event()

    async def disturb(method: str, path: str, perform: Perform) -> Any:
        await answer.wait()
        return {"items": [{"status": "Success"}] * 2}

    api = FakeApi(disturb=disturb)
    deletions = Deletions(api.client(), lambda: leads[0])
    asked = []
    for first, second in ("ab", "cd", "ef"):
        asked.append(asyncio.ensure_future(wishes(deletions, first, second)))
        await asyncio.sleep(1)
    leads[0] = False
    answer.set()

    heard = [[type(error) for error in await wished] for wished in asked]
    assert heard == [[type(None)] * 2] * 2 + [[Conflict] * 2]
    assert api.requests == ["DELETE /api/v1/pods"] * 2


@in_virtual_time
async def test_each_of_a_batch_that_failed_has_an_error_of_its_own():
    async def disturb(method: str, path: str, perform: Perform) -> Any:
        raise Unavailable("not now", {"retryAfterSeconds": 3})

    heard = await wishes(Deletions(FakeApi(disturb=disturb).client()), *"abc")

    assert [(str(error), error.retry_after_seconds) for error in heard] == [("not now", 3)] * 3
    assert len({id(error) for error in heard}) == 3
