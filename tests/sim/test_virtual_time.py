"""The loop that owns time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from wherry.client import clock
from wherry.sim import virtual_time
from wherry.sim.virtual_time import EPOCH, Deadlock, Overrun, in_virtual_time, run

DAY = 86400


def test_a_day_passes_at_once():
    async def a_day() -> datetime:
        await asyncio.sleep(DAY)
        return clock.now()

    assert run(a_day(), start=datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 2, tzinfo=UTC)


@in_virtual_time
async def test_sleepers_wake_in_order_of_time_not_of_creation():
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, asyncio.get_running_loop().time()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3600), ("early", 1), ("middle", 60.5)):
            group.create_task(sleeper(name, seconds))

    assert woken == [("early", 1), ("middle", 60.5), ("late", 3600)]


def test_a_deadlock_names_who_waits_and_where():
    async def waits_for_godot() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"test_virtual_time\.py:\d+ in .*waits_for_godot|locks\.py"):
        run(waits_for_godot())


def test_timers_that_tick_for_ever_end_at_the_limit():
    async def ticks() -> None:
        for _ in range(100):
            await asyncio.sleep(1)

    with pytest.raises(Overrun, match="60 virtual seconds are over"):
        run(ticks(), limit_seconds=60)


def test_tasks_that_wake_each_other_for_ever_are_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(virtual_time, "MOST_ROUNDS_AN_INSTANT", 1000)

    async def spins() -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    with pytest.raises(Overrun, match="time stands still"):
        run(spins())


def test_one_seed_is_one_run():
    async def chances() -> list[float]:
        return [clock.randomness().random() for _ in range(3)]

    assert run(chances(), seed=7) == run(chances(), seed=7) != run(chances(), seed=8)


@in_virtual_time
async def test_jobs_for_threads_run_inline():
    assert await asyncio.to_thread(sum, (1, 2)) == 3


@in_virtual_time
async def test_timeouts_follow_the_virtual_clock():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    assert clock.now() == EPOCH + timedelta(seconds=30)


@in_virtual_time
async def test_a_component_may_have_a_wrong_clock():
    with clock.skewed(hours=1):
        wrong = asyncio.create_task(asyncio.to_thread(clock.now))

    assert await wrong - clock.now() == timedelta(hours=1)


def test_outside_of_a_loop_the_real_clock_is_asked():
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
