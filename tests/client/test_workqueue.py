"""Which objects need a plan, and when."""

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from wherry.client.serving.counting import exposition
from wherry.client.serving.queues import of_queues
from wherry.client.workqueue import MOST_RETRY_SECONDS, WorkQueue
from wherry.sim.virtual_time import in_virtual_time, run


@in_virtual_time
async def test_keys_come_out_in_order_and_once():
    queue = WorkQueue()
    for key in ("b", "a", "b"):
        queue.add(key)

    assert [await queue.get(), await queue.get(), len(queue)] == ["b", "a", 0]


@in_virtual_time
async def test_a_key_added_while_it_is_held_comes_again_when_done():
    queue = WorkQueue()
    queue.add("a")
    held = await queue.get()
    queue.add("a")

    assert len(queue) == 0
    queue.done(held)
    assert await queue.get() == "a"


@in_virtual_time
async def test_of_two_times_the_earlier_counts():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    queue.add_after("a", 60)
    queue.add_after("a", 5)
    queue.add_after("a", 30)

    assert (await queue.get(), loop.time()) == ("a", 5)
    queue.done("a")
    await asyncio.sleep(3600)
    assert len(queue) == 0


@in_virtual_time
async def test_failures_wait_longer_each_time_and_never_longer_than_the_cap():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    waits = []
    for _ in range(20):
        since = loop.time()
        queue.add_rate_limited("a")
        queue.done(await queue.get())
        waits.append(loop.time() - since)

    assert waits[0] <= 0.005
    assert waits[5] > waits[3] > waits[1]
    assert MOST_RETRY_SECONDS / 2 <= waits[-1] <= MOST_RETRY_SECONDS


@in_virtual_time
async def test_a_success_makes_the_next_failure_the_first_again():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    for _ in range(10):
        queue.add_rate_limited("a")
        queue.done(await queue.get())
    queue.forget("a")
    since = loop.time()

    queue.add_rate_limited("a")
    await queue.get()

    assert loop.time() - since <= 0.005


@in_virtual_time
async def test_an_echo_wakes_a_key_that_is_well_but_hastens_no_retry():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    queue.add_unless_failing("a")
    held = await queue.get()
    queue.add_unless_failing("a")
    queue.done(held)
    assert await queue.get() == "a"

    for _ in range(5):
        queue.add_rate_limited("a")
    queue.add_unless_failing("a")
    queue.done("a")
    queue.add_unless_failing("a")
    assert (len(queue), await queue.get(), loop.time() > 0) == (0, "a", True)


@in_virtual_time
async def test_a_cancelled_worker_leaves_its_wake_up_to_another():
    queue = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()

    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert await second == "a"


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 4))
def test_no_two_workers_ever_hold_one_key_and_no_request_is_lost(keys: list[str], workers: int):
    held: set[str] = set()
    last_added: dict[str, float] = {}
    last_begun: dict[str, float] = {}

    async def work(queue: WorkQueue) -> None:
        while True:
            key = await queue.get()
            assert key not in held
            held.add(key)
            last_begun[key] = asyncio.get_running_loop().time()
            await asyncio.sleep(0.7)
            held.discard(key)
            queue.done(key)

    async def play() -> None:
        queue = WorkQueue()
        tasks = [asyncio.create_task(work(queue)) for _ in range(workers)]
        for key in keys:
            queue.add(key)
            last_added[key] = asyncio.get_running_loop().time()
            await asyncio.sleep(0.3)
        await asyncio.sleep(100)
        assert not [task for task in tasks if task.done()]

    run(play())
    assert all(last_begun[key] >= added for key, added in last_added.items())


@in_virtual_time
async def test_news_in_crowds_are_answered_at_once_for_a_while_and_then_ten_times_a_second():
    queue, loop, plans = WorkQueue(), asyncio.get_running_loop(), []
    for _ in range(100):
        queue.add_paced("a")
        await asyncio.sleep(0.01)
        while len(queue):
            plans.append(round(loop.time(), 2))
            queue.done(await queue.get())

    assert plans[:9] == [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09]
    assert 10 <= len(plans[9:]) <= 12


@in_virtual_time
async def test_after_the_last_of_a_crowd_there_is_one_more_plan():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    for _ in range(30):
        queue.add_paced("a")
        if len(queue):
            queue.done(await queue.get())

    assert (await queue.get(), round(loop.time(), 1)) == ("a", 0.1)


@in_virtual_time
async def test_a_queue_tells_prometheus_how_it_fares():
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    for key in ("a", "b"):
        queue.add(key)
    await asyncio.sleep(2)
    held = await queue.get()
    await asyncio.sleep(3)
    queue.add_rate_limited(held)

    told = exposition(of_queues({"web": queue}, loop.time()))

    for line in ("adds_total", "retries_total", "depth", "unfinished_work_seconds", "queue_duration_seconds_sum"):
        assert f'workqueue_{line}{{name="web"}} ' in told
    assert 'workqueue_depth{name="web"} 1.0' in told
    assert 'workqueue_unfinished_work_seconds{name="web"} 3.0' in told
    assert 'workqueue_queue_duration_seconds_sum{name="web"} 2.0' in told
    queue.close()
