"""Few requests begin in one turn of the loop, so that one that comes meanwhile need not wait for all of them."""

import asyncio
from pathlib import Path

import pytest

from apiserver.fairness import turnstile
from apiserver.fairness.flows import FLOW
from apiserver.fairness.turnstile import Turnstile
from apiserver.storage.sqlite import SqliteStore


class Visitors:
    """Requests that come to a turnstile, and in which turn of the loop they began."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.turn = 0
        self.begun: list[tuple[int, str]] = []

    async def one(self, flow: str) -> None:
        if not self.turnstile.passes(flow):
            await self.turnstile.come(flow)
        self.begun.append((self.turn, flow))

    async def until(self, *coming: asyncio.Future[None]) -> None:
        while not all(each.done() for each in coming):
            self.turn += 1
            await asyncio.sleep(0)


def send(visitors: Visitors, flow: str, count: int) -> list[asyncio.Future[None]]:
    return [asyncio.ensure_future(visitors.one(flow)) for _ in range(count)]


async def test_one_begins_in_each_turn():
    visitors = Visitors()

    await visitors.until(*send(visitors, "greedy", 40))

    turns = [turn for turn, _ in visitors.begun]
    assert (len(turns), max(map(turns.count, turns))) == (40, 1)


async def test_who_comes_later_and_alone_begins_in_the_same_turn():
    visitors = Visitors()
    greedy = send(visitors, "greedy", 40)
    await visitors.until(greedy[1])

    await visitors.until(*send(visitors, "modest", 1))

    assert visitors.begun[-1][1] == "modest"
    assert len(visitors.begun) < 10


async def test_those_who_wait_leave_some_turns_to_who_passes():
    visitors = Visitors()
    greedy = send(visitors, "greedy", 40)
    await visitors.until(greedy[1])
    already = len(visitors.begun)

    for _ in range(12):
        await visitors.until(*send(visitors, "modest", 1))

    begun = [flow for _, flow in visitors.begun[already:]]
    assert (begun.count("modest"), 2 <= begun.count("greedy") <= 6) == (12, True)


async def test_who_goes_on_waits_for_a_turn_like_who_begins():
    visitors, went_on = Visitors(), list[tuple[int, str]]()
    greedy = send(visitors, "greedy", 10)
    await visitors.until(greedy[0])

    for flow in ("greedy", "", "modest"):
        visitors.turnstile.go_on(flow, lambda flow=flow: went_on.append((len(visitors.begun), flow)))
    await visitors.until(*greedy)
    await visitors.until(*send(visitors, "greedy", 1))

    assert (went_on[:2], went_on[2][0] >= 10) == ([(1, ""), (1, "modest")], True)


async def test_flows_that_wait_take_turns():
    visitors = Visitors()
    await visitors.until(*send(visitors, "greedy", 40), *send(visitors, "eager", 10))

    eager = [place for place, (_, flow) in enumerate(visitors.begun) if flow == "eager"]
    assert max(eager) < 25


async def test_a_flow_that_is_alone_is_not_held_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turnstile, "ALONE_SECONDS", -1.0)
    visitors = Visitors()

    await visitors.until(*send(visitors, "only", 40))

    assert {turn for turn, _ in visitors.begun} == {1}


async def test_who_leaves_the_turnstile_keeps_nobody():
    visitors = Visitors()
    first = send(visitors, "greedy", 20)
    await asyncio.sleep(0)

    for each in first[1:-1]:
        each.cancel()

    await asyncio.wait_for(first[-1], 1)


async def test_writes_that_are_committed_together_go_on_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turnstile, "ALONE_SECONDS", 60.0)
    store, visitors, turns = await SqliteStore.open(tmp_path / "db"), Visitors(), list[int]()

    async def write(number: int) -> None:
        FLOW.set("greedy")
        await store.put(f"/maps/{number}", b"{}", expected=0)
        turns.append(visitors.turn)

    await visitors.until(*(asyncio.ensure_future(write(number)) for number in range(40)))
    await store.close()

    assert (len(turns), max(map(turns.count, turns))) == (40, 1)
