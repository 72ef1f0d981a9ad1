"""Few requests begin in one turn of the loop, so that one that comes meanwhile need not wait for all of them."""

import asyncio

import pytest

from apiserver.fairness import turnstile
from apiserver.fairness.turnstile import SOME, Turnstile


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


async def test_a_few_begin_in_each_turn():
    visitors = Visitors()

    await visitors.until(*send(visitors, "greedy", 40))

    turns = [turn for turn, _ in visitors.begun]
    assert (len(turns), max(map(turns.count, turns))) == (40, SOME)


async def test_who_comes_later_and_alone_begins_in_the_same_turn():
    visitors = Visitors()
    greedy = send(visitors, "greedy", 40)
    await visitors.until(greedy[SOME])

    await visitors.until(*send(visitors, "modest", 1))

    assert visitors.begun[-1][1] == "modest"
    assert len(visitors.begun) < 10


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

    for each in first[SOME:-1]:
        each.cancel()

    await asyncio.wait_for(first[-1], 1)
