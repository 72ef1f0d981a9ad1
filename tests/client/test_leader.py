"""Of several processes exactly one works."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_api import FakeApi, Link, Perform, lost
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.api.coordination.lease import Lease
from wherry.client import clock
from wherry.client.leader import Leader, LostLead, Timing
from wherry.sim.virtual_time import VirtualTimeLoop, in_virtual_time, run


@dataclass
class Candidate:
    """A process that leads when it may, and notes from when to when it did."""

    api: FakeApi
    name: str
    shifts: list[tuple[float, float]] = field(default_factory=list)
    is_working: bool = False

    def __post_init__(self) -> None:
        self.link = Link(self.api)
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            self.leader = Leader(self.link.client(), "test", identity=self.name)
            try:
                await self.leader.lead(self._work)
            except LostLead:
                await asyncio.sleep(1)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        begun, self.is_working = loop.time(), True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_working = False
            self.shifts.append((begun, loop.time()))

    def kill(self) -> None:
        """Like SIGKILL: nothing more is said."""
        self.link.up = False
        self.task.cancel()

    def stop(self) -> None:
        """Like SIGTERM."""
        self.task.cancel()


async def two(api: FakeApi) -> tuple[Candidate, Candidate]:
    first = Candidate(api, "first")
    await asyncio.sleep(1)
    second = Candidate(api, "second")
    await asyncio.sleep(60)
    return first, second


async def seconds_until_working(candidate: Candidate) -> float:
    begun = asyncio.get_running_loop().time()
    while not candidate.is_working:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - begun


@in_virtual_time
async def test_the_first_leads_and_the_second_waits():
    api = FakeApi()
    first, second = await two(api)

    assert (first.is_working, second.is_working, first.leader.holds(), second.leader.holds()) == (
        True,
        False,
        True,
        False,
    )
    [lease] = api.all(Lease)
    assert (lease.spec.holder_identity, lease.spec.lease_duration_seconds, lease.spec.lease_transitions) == (
        "first",
        15,
        0,
    )


@in_virtual_time
async def test_who_stops_cleanly_is_followed_at_once():
    api = FakeApi()
    first, second = await two(api)
    first.stop()

    assert await seconds_until_working(second) < 0.1
    assert api.all(Lease)[0].spec.lease_transitions == 1


@in_virtual_time
async def test_who_is_killed_is_followed_when_the_lease_runs_out():
    first, second = await two(FakeApi())
    first.kill()

    assert 12 < await seconds_until_working(second) <= 16


@in_virtual_time
async def test_who_is_cut_off_stops_before_another_begins():
    first, second = await two(FakeApi())
    first.link.up = False
    await seconds_until_working(second)

    assert not first.is_working
    assert first.shifts[0][1] + 4 < asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_short_cut_changes_nothing():
    first, second = await two(FakeApi())
    first.link.up = False
    await asyncio.sleep(7)
    first.link.up = True
    await asyncio.sleep(60)

    assert (first.is_working, first.shifts, second.shifts) == (True, [], [])


@in_virtual_time
async def test_lost_answers_to_renewals_do_not_cost_the_lead():
    api = FakeApi()

    async def lose_half(method: str, path: str, perform: Perform) -> Any:
        answer = await perform()
        if method == "PATCH" and len(api.requests) % 2:
            raise lost()
        return answer

    first, _ = await two(api)
    api.disturb = lose_half
    await asyncio.sleep(600)

    assert (first.is_working, first.shifts) == (True, [])


@in_virtual_time
async def test_a_stopped_process_knows_at_once_that_it_leads_no_more():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    first, _ = await two(FakeApi())
    assert first.leader.holds()
    loop.stall(30)

    assert not first.leader.holds()


@in_virtual_time
async def test_wrong_wall_clocks_do_no_harm():
    api = FakeApi()
    with clock.skewed(hours=-1):
        first = Candidate(api, "first")
    await asyncio.sleep(1)
    with clock.skewed(hours=1):
        second = Candidate(api, "second")
    await asyncio.sleep(600)

    assert (first.is_working, second.is_working, first.shifts) == (True, False, [])


@in_virtual_time
async def test_work_that_ends_gives_the_lead_back():
    api = FakeApi()

    async def work() -> None:
        await asyncio.sleep(3)

    await Leader(api.client(), "test", identity="first").lead(work)

    assert api.all(Lease)[0].spec.holder_identity == ""


@in_virtual_time
async def test_work_that_fails_gives_the_lead_back_and_says_why():
    api = FakeApi()

    async def work() -> None:
        raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError, match="the work failed"):
        await Leader(api.client(), "test", identity="first").lead(work)
    assert api.all(Lease)[0].spec.holder_identity == ""


def test_times_that_leave_no_room_are_refused():
    with pytest.raises(ValueError, match="lease_seconds > renew_seconds > retry_seconds"):
        Timing(lease_seconds=10, renew_seconds=10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["down", "up", "cut"]), st.floats(0.1, 25)), max_size=20))
def test_no_two_ever_work_at_the_same_time(steps: list[tuple[int, str, float]]):
    async def play() -> list[tuple[float, float]]:
        api = FakeApi()
        candidates = [Candidate(api, f"candidate-{number}") for number in range(3)]
        for number, what, seconds in steps:
            candidates[number].link.up = what != "down"
            if what == "cut":
                api.cut()
            await asyncio.sleep(seconds)
        for candidate in candidates:
            candidate.link.up = True
        await asyncio.sleep(40)
        assert [candidate.is_working for candidate in candidates].count(True) == 1
        for candidate in candidates:
            candidate.stop()
        await asyncio.gather(*(candidate.task for candidate in candidates), return_exceptions=True)
        return sorted(shift for candidate in candidates for shift in candidate.shifts)

    shifts = run(play())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(shifts))
