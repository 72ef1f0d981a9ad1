"""Batches are asked for as long as the server takes them, and again some time after it did not."""

import asyncio
from typing import Any

import pytest
from fake_api import FakeApi, Perform

from wherry.api.core.binding import Binding
from wherry.client.batches import REFUSED_SECONDS, Batches, NoBatches, parcels
from wherry.machinery.errors import Forbidden
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
