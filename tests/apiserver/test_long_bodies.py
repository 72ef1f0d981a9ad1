"""Long bodies: what there may be of them at once, that nobody waits for the work on them, and where it ends."""

import asyncio
import sys
import time
from contextvars import copy_context
from functools import partial
from typing import Any

import orjson
import pytest

from apiserver.fairness.aside import HUGE_BYTES, aside
from apiserver.fairness.bodies import MOST_WAITING_OF_ONE, Bodies, Room
from apiserver.request import BODY_LIMIT_BYTES
from apiserver.writing.decoding import MAX_VALUES
from tests.apiserver.local_api import APPLY, CORE, MERGE, Api, running_api
from wherry.machinery.errors import TooManyRequests

MAPS, PODS = f"{CORE}/configmaps", f"{CORE}/pods"


def nothing() -> None:
    pass


async def in_line(bodies: Bodies, user: str, size: int) -> asyncio.Task[Room]:
    waiting = asyncio.ensure_future(bodies.enter(user, size, nothing))
    await asyncio.sleep(0)
    return waiting


async def test_bodies_wait_for_room_and_users_take_turns():
    bodies = Bodies(100)
    first = await bodies.enter("ann", 50, nothing)
    more = [await in_line(bodies, "ann", 50), await in_line(bodies, "ann", 50)]
    bob = await bodies.enter("bob", 50, nothing)  # half of it is not for one user alone
    bobs = await in_line(bodies, "bob", 50)
    came: list[str] = []
    for name, task in (("ann 2", more[0]), ("ann 3", more[1]), ("bob 2", bobs)):
        task.add_done_callback(lambda _, name=name: came.append(name))

    first.leave()
    await asyncio.sleep(0.001)
    bob.leave()
    await asyncio.sleep(0.001)
    more[0].result().leave()
    await asyncio.sleep(0.001)

    assert came == ["ann 2", "bob 2", "ann 3"]


async def test_beyond_what_may_wait_they_are_told_to_come_again():
    bodies = Bodies(100)
    await bodies.enter("ann", 50, nothing)
    waiting = [await in_line(bodies, "ann", 50) for _ in range(MOST_WAITING_OF_ONE)]

    with pytest.raises(TooManyRequests) as refused:
        await bodies.enter("ann", 10, nothing)

    assert refused.value.retry_after_seconds == 1
    waiting[0].cancel()  # who has left keeps nobody
    again = await in_line(bodies, "ann", 50)
    assert not again.done()
    for each in (*waiting, again):
        each.cancel()


async def test_who_has_waited_too_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiserver.fairness.bodies.WAIT_SECONDS", 0.01)
    bodies = Bodies(100)
    room = await bodies.enter("ann", 50, nothing)

    with pytest.raises(TooManyRequests):
        await bodies.enter("ann", 50, nothing)

    room.leave()
    await asyncio.wait_for(bodies.enter("ann", 50, nothing), 1)


async def test_what_a_body_did_not_need_is_for_others():
    bodies = Bodies(100)
    room = await bodies.enter("ann", 50, nothing)
    waiting = await in_line(bodies, "ann", 40)

    room.came(10)
    room.whole()

    await asyncio.wait_for(waiting, 1)


async def test_who_sends_too_slowly_goes_when_somebody_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiserver.fairness.bodies.GRACE_SECONDS", 0.0)
    bodies, ended = Bodies(100), list[str]()
    slow, fast, done = [await bodies.enter(name, 30, partial(ended.append, name)) for name in ("slow", "fast", "done")]
    fast.came(2**30)
    done.whole()
    await asyncio.sleep(0.01)
    assert ended == []

    waiting = await in_line(bodies, "ann", 50)

    assert ended == ["slow"]
    slow.leave()
    await asyncio.wait_for(waiting, 1)


async def test_a_long_body_without_room_is_a_429_and_short_ones_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiserver.fairness.bodies.WAIT_SECONDS", 0.01)
    async with running_api() as api:
        api.server.bodies = Bodies(0)
        long = {"metadata": {"name": "long"}, "data": {"a": "x" * 100_000}}

        refused = await api.post(MAPS, long, headers={"content-length": "100100"})
        passed = await api.post(MAPS, {"metadata": {"name": "short"}})

        assert (refused.status, refused.header("retry-after"), passed.status) == (429, "1", 201)


async def test_everybody_is_served_while_a_huge_object_is_worked_on():
    def slow() -> str:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass
        return "done"

    turns = 0
    working = asyncio.ensure_future(aside(HUGE_BYTES, slow))
    while not working.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert (await working, turns > 20) == ("done", True)


async def test_who_began_first_goes_on_first():
    done: list[str] = []

    async def request(name: str) -> None:
        for step in (1, 2):
            await aside(HUGE_BYTES, time.sleep, 0.05)
            done.append(f"{name}{step}")

    await asyncio.gather(*(asyncio.create_task(request(name), context=copy_context()) for name in "abcdef"))

    assert done.index("a2") < done.index("f1")


async def test_threads_switch_sooner_only_while_there_are_huge_objects():
    usual = sys.getswitchinterval()

    during = await asyncio.gather(*(aside(HUGE_BYTES, sys.getswitchinterval) for _ in range(3)))

    assert (min(during) == max(during) < usual, sys.getswitchinterval()) == (True, usual)


async def test_who_leaves_keeps_nobody_waiting():
    first, leaving, last = (asyncio.create_task(aside(HUGE_BYTES, time.sleep, 0.05)) for _ in range(3))
    await asyncio.sleep(0.01)

    leaving.cancel()
    await asyncio.wait_for(asyncio.gather(first, last), 5)

    assert leaving.cancelled()


async def test_what_a_huge_object_raises_is_raised():
    with pytest.raises(ValueError, match="so it is"):
        await aside(HUGE_BYTES, _raise, "so it is")


def _raise(text: str) -> None:
    raise ValueError(text)


QUERY = {"fieldManager": "tester"}
MANY: list[Any] = [{}] * (MAX_VALUES + 1)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", {"spec": {"containers": MANY}}),
        ("application/yaml", {"spec": {"containers": MANY}}),
        (MERGE, {"spec": {"containers": MANY}}),
        (APPLY, {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": MANY}}),
    ],
)
async def test_more_values_than_an_object_may_have_are_a_413(api: Api, content_type: str, body: Any):
    verb, path = ("PATCH", f"{PODS}/p") if "patch" in content_type else ("POST", PODS)

    answer = await api.request(verb, path, orjson.dumps(body), headers={"content-type": content_type}, query=QUERY)

    assert answer.error[:2] == (413, "RequestEntityTooLarge")
    assert f"limit is {MAX_VALUES}" in answer.error[2]


async def test_commas_in_a_text_are_no_values(api: Api):
    text = '\\",["{' * 100_000

    made = await api.post(MAPS, {"metadata": {"name": "text"}, "data": {"a": text}})

    assert (made.status, made.json["data"]) == (201, {"a": text})


async def test_what_becomes_too_long_by_its_defaults_is_a_413(api: Api):
    answer = await api.post(PODS, {"metadata": {"name": "p"}, "spec": {"containers": [{}] * 30_000}})

    assert answer.error[:2] == (413, "RequestEntityTooLarge")
    assert answer.error[2].endswith(f"limit is {BODY_LIMIT_BYTES}")


async def test_of_many_mistakes_a_thousand_are_told(api: Api):
    data = {f"_{index}!": "" for index in range(3000)}

    answer = await api.post(MAPS, {"metadata": {"name": "m"}, "data": data})

    assert (answer.status, len(answer.json["details"]["causes"])) == (422, 1000)
