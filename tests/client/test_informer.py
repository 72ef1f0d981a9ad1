"""The local copy follows the server, whatever happens between them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fake_api import FakeApi, Perform, lost
from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_pod, an_object

from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import Queue
from wherry.client.informer import Change, Informer, OptionalInformer
from wherry.machinery import errors
from wherry.machinery.resource import Resource
from wherry.sim.virtual_time import in_virtual_time, run

ApiMaker = Callable[..., Any]


def replay(changes: list[Change[Any]]) -> dict[str, Resource]:
    """The copy that the changes lead to; fails where one does not follow from those before it."""
    copy: dict[str, Resource] = {}
    for before, after in changes:
        key = (before or after).key
        assert copy.get(key) == before
        assert before != after
        if after is None:
            del copy[key]
        else:
            assert before is None or before.metadata.uid == after.metadata.uid
            copy[key] = after
    return copy


@asynccontextmanager
async def following(api: FakeApi, **selection: str) -> AsyncIterator[tuple[Informer[Pod], list[Change[Pod]]]]:
    informer, changes = Informer(api.client(), Pod, **selection), list[Change[Pod]]()
    informer.subscribe(changes.append)
    task = asyncio.create_task(informer.run())
    await informer.synced()
    yield informer, changes
    assert not task.done()
    task.cancel()


@in_virtual_time
async def test_the_list_and_then_each_change_is_told(an_api: ApiMaker):
    api = an_api()
    a = api.put(a_pod("a"))
    async with following(api) as (informer, changes):
        b = api.put(a_pod("b"))
        api.remove(a)
        await informer.reaches(api.revision)

        assert changes == [Change(None, a), Change(None, b), Change(a, None)]
        assert informer.list() == [b]


@in_virtual_time
async def test_who_subscribes_late_is_told_what_is_there(an_api: ApiMaker):
    api = an_api()
    pod = api.put(a_pod("a"))
    async with following(api) as (informer, _):
        late: list[Change[Pod]] = []
        informer.subscribe(late.append)

        assert late == [Change(None, pod)]


@in_virtual_time
async def test_a_kind_that_a_server_gets_later_is_followed_from_then_on(an_api: ApiMaker):
    async def without(method: str, path: str, perform: Perform) -> Any:
        raise errors.NotFound("there is no such path")

    api = an_api(disturb=without)
    informer, changes = OptionalInformer(api.client(), Queue), list[Change[Queue]]()
    informer.subscribe(changes.append)
    task = asyncio.create_task(informer.run())
    await informer.synced()
    api.disturb, queue = None, api.put(an_object(Queue, "labs"))
    await asyncio.sleep(70)

    assert changes == [Change(None, queue)]
    task.cancel()


@in_virtual_time
async def test_a_list_longer_than_a_page_is_fetched_whole(an_api: ApiMaker):
    api = an_api()
    pods = [api.put(a_pod(f"pod-{number:04}")) for number in range(1201)]
    async with following(api) as (informer, _):
        assert informer.list() == pods
        assert api.requests.count("GET /api/v1/pods") == 3


@in_virtual_time
async def test_a_broken_stream_goes_on_where_it_broke_without_a_list(an_api: ApiMaker):
    api = an_api()
    async with following(api) as (informer, changes):
        first = api.put(a_pod("a"))
        await informer.reaches(api.revision)
        api.cut()
        second = api.put(a_pod("a", labels={"x": "y"}))
        await informer.reaches(api.revision)

        assert changes == [Change(None, first), Change(first, second)]
        assert api.requests.count("GET /api/v1/pods") == 1


@in_virtual_time
async def test_after_expiry_the_difference_is_told(an_api: ApiMaker):
    api = an_api()
    gone, _, reborn = (api.put(a_pod(name)) for name in ("gone", "kept", "reborn"))
    async with following(api) as (_, changes):
        del changes[:]
        api.lag_seconds = 1000
        api.remove(gone)
        api.remove(reborn)
        anew = api.put(a_pod("reborn", uid="another-life"))
        api.compact()
        api.cut()
        await asyncio.sleep(10)

        assert changes == [Change(gone, None), Change(reborn, None), Change(None, anew)]


@in_virtual_time
async def test_the_fence_waits_for_a_lagging_stream(an_api: ApiMaker):
    api = an_api(lag_seconds=2)
    async with following(api) as (informer, _):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        pod = api.put(a_pod("a"))
        await informer.reaches(int(pod.metadata.resource_version))

        assert (loop.time() - begun, informer.list()) == (2, [pod])


@in_virtual_time
async def test_bookmarks_carry_the_revision_over_silence(an_api: ApiMaker):
    api = an_api()
    async with following(api) as (informer, _):
        api.put(an_object("ConfigMap", "noise"))
        await informer.reaches(api.revision)

        assert asyncio.get_running_loop().time() <= 70


@in_virtual_time
async def test_waiting_ends_when_the_store_went_back_in_time():
    api = FakeApi()
    async with following(api) as (informer, _):
        waiting = asyncio.create_task(informer.reaches(1000))
        await asyncio.sleep(1)
        assert not waiting.done()
        api.put(a_pod("a"))
        api.compact()
        api.compacted += 1
        api.cut()
        api.put(a_pod("b"))

        await asyncio.wait_for(waiting, 10)


@in_virtual_time
async def test_an_outage_is_met_with_ever_rarer_tries(an_api: ApiMaker):
    api = an_api()

    async def away(method: str, path: str, perform: Perform) -> Any:
        raise lost()

    async with following(api) as (informer, _):
        await asyncio.sleep(40)
        api.disturb = away
        api.cut()
        del api.requests[:]
        await asyncio.sleep(60)
        assert 12 <= len(api.requests) <= 30
        api.disturb = None
        pod = api.put(a_pod("a"))
        await asyncio.sleep(5.1)

        assert informer.list() == [pod]


@in_virtual_time
async def test_an_object_that_leaves_the_selection_goes(an_api: ApiMaker):
    api = an_api()
    async with following(api, labels="app=web") as (informer, changes):
        pod = api.put(a_pod("a", labels={"app": "web"}))
        api.put(a_pod("a", labels={"app": "mail"}))
        await informer.reaches(api.revision)

        assert changes == [Change(None, pod), Change(pod, None)]


@in_virtual_time
async def test_a_subscriber_that_fails_disturbs_no_other(an_api: ApiMaker):
    api = an_api()

    def fails(change: Change[Pod]) -> None:
        raise RuntimeError("this subscriber is broken")

    informer, changes = Informer(api.client(), Pod), list[Change[Pod]]()
    informer.subscribe(fails)
    informer.subscribe(changes.append)
    task = asyncio.create_task(informer.run())
    pod = api.put(a_pod("a"))
    await informer.synced()
    task.cancel()

    assert changes == [Change(None, pod)]


Step = Callable[[FakeApi], Awaitable[None]]
_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "remove", "cut", "compact", "wait"]), st.sampled_from("abc"))
)


@settings(max_examples=60, deadline=None)
@given(_STEPS, st.integers(0, 2**16))
def test_the_copy_ends_up_like_the_server_and_the_changes_explain_it(steps: list[tuple[str, str]], seed: int):
    async def play() -> None:
        api = FakeApi(lag_seconds=0.2)
        async with following(api) as (informer, changes):
            for number, (step, name) in enumerate(steps):
                here = api.objects.get((Pod, "default", name))
                if step == "put":
                    uid = here["metadata"]["uid"] if here else f"life-{number}"
                    api.put(a_pod(name, uid=uid, labels={"number": str(number)}))
                elif step == "remove" and here:
                    api.remove(Pod.read(here))
                elif step in ("cut", "compact"):
                    getattr(api, step)()
                elif step == "wait":
                    await asyncio.sleep(0.25)
            api.put(a_pod("last"))
            await asyncio.sleep(60)
            assert informer.list() == api.all(Pod)
            assert replay(changes) == {pod.key: pod for pod in api.all(Pod)}

    run(play(), seed=seed)
