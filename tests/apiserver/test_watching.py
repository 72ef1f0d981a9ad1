"""WATCH: every change of what is selected, once, in order, from a version on, and how streams begin and end."""

import asyncio

import pytest

from apiserver.reading import watchers
from apiserver.reading.negotiation import Representation
from apiserver.reading.selection import Selection
from apiserver.reading.watchers import Watcher
from apiserver.reading.watching import _events, _Start
from tests.apiserver.local_api import CORE, PARTIAL, TABLE, Api, cells_of, running_api
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_objects import MAPS, a_map
from wherry.api.core.config_map import ConfigMap
from wherry.machinery.selectors import EVERYTHING, FieldTerms, parse_label_selector
from wherry.sim.virtual_time import in_virtual_time


async def version(api: Api) -> str:
    return (await api.get(MAPS)).json["metadata"]["resourceVersion"]


async def test_every_change_after_the_version_is_one_event(api: Api):
    async with api.watch(MAPS, resourceVersion=await version(api)) as stream:
        await api.made(MAPS, a_map())
        await api.patch(f"{MAPS}/a", {"data": {"k": "w"}})
        await api.patch(f"{MAPS}/a", {"data": {"k": "w"}})
        await api.delete(f"{MAPS}/a")

        assert await stream.take(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_deleted_event_has_the_last_state_and_the_version_of_the_deletion(api: Api):
    made = await api.made(MAPS, a_map())

    async with api.watch(MAPS, resourceVersion=await version(api)) as stream:
        await api.delete(f"{MAPS}/a")
        event = await stream.next()

    assert event["object"]["data"] == {"k": "v"}
    assert event["object"]["kind"] == "ConfigMap"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}])
async def test_without_a_version_a_watch_begins_with_what_there_is(api: Api, query: dict):
    await api.made(MAPS, a_map("b"))
    await api.made(MAPS, a_map("a"))

    async with api.watch(MAPS, **query) as stream:
        await api.made(MAPS, a_map("c"))

        assert await stream.take(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_objects_that_begin_or_cease_to_match_come_and_go(api: Api):
    await api.made(MAPS, a_map(labels={"color": "red"}))

    async with api.watch(MAPS, resourceVersion=await version(api), labelSelector="color=red") as stream:
        left = (await api.patch(f"{MAPS}/a", {"metadata": {"labels": {"color": "blue"}}, "data": {"k": "w"}})).json
        gone = await stream.next()
        await api.patch(f"{MAPS}/a", {"metadata": {"labels": {"color": "red"}}})
        back = await stream.next()

    assert (gone["type"], gone["object"]["data"], gone["object"]["metadata"]["labels"]) == (
        "DELETED",
        {"k": "v"},
        {"color": "red"},
    )
    assert gone["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
    assert (back["type"], back["object"]["data"]) == ("ADDED", {"k": "w"})


async def test_a_watch_by_node_sees_a_pod_arrive_and_leave(api: Api):
    await api.made(PODS, a_pod())
    binding = {"target": {"kind": "Node", "name": "n"}}

    async with api.watch("/api/v1/pods", resourceVersion=await version(api), fieldSelector="spec.nodeName=n") as stream:
        await api.post(f"{PODS}/p/binding", binding)
        await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})

        assert await stream.take(2) == [("ADDED", "p"), ("DELETED", "p")]


async def test_finalizers_show_as_modified_and_their_end_as_deleted(api: Api):
    await api.made(MAPS, a_map(finalizers=["example.com/hold"]))

    async with api.watch(MAPS, resourceVersion=await version(api)) as stream:
        await api.delete(f"{MAPS}/a")
        await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
        await api.made(MAPS, a_map("b"))

        assert await stream.take(3) == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_a_watch_from_the_past_replays_what_happened(api: Api):
    since = await version(api)
    await api.made(MAPS, a_map())
    await api.delete(f"{MAPS}/a")

    async with api.watch(MAPS, resourceVersion=since) as stream:
        await api.made(MAPS, a_map("b"))

        assert await stream.take(3) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_a_watch_from_before_the_memory_is_replayed_from_the_store():
    async with running_api() as first:
        since = (await first.get(MAPS)).json["metadata"]["resourceVersion"]
        await first.made(MAPS, a_map(labels={"color": "red"}))
        await first.patch(f"{MAPS}/a", {"metadata": {"labels": {"color": "blue"}}})
        async with (
            running_api(first.server.store) as second,
            second.watch(MAPS, resourceVersion=since, labelSelector="color=red") as stream,
        ):
            events = [await stream.next(), await stream.next()]

    assert [(event["type"], event["object"]["metadata"]["labels"]["color"]) for event in events] == [
        ("ADDED", "red"),
        ("DELETED", "red"),
    ]


async def test_a_compacted_version_is_an_error_event_410(api: Api):
    since = await version(api)
    for name in "ab":
        await api.made(MAPS, a_map(name))
    cache = api.server.cache.of(type_of("ConfigMap"))
    cache.begin(int(await version(api)))  # as after a restart: nothing in memory
    await api.server.store.compact(int(await version(api)))

    async with api.watch(MAPS, resourceVersion=since) as stream:
        event, end = await stream.next(), await stream.next()

    status = event["object"]
    assert (event["type"], status["kind"], status["code"], status["reason"]) == ("ERROR", "Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {since} (")
    assert end is None


def type_of(kind: str):
    from wherry.machinery.resource import kind_named

    return kind_named("v1", kind)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 30, " 1"])
async def test_a_garbage_version_is_a_400(api: Api, text: str):
    assert (await api.get(MAPS, query={"watch": "true", "resourceVersion": text})).error[:2] == (400, "BadRequest")


@in_virtual_time
async def test_a_future_version_brings_no_old_event():
    async with running_api() as api:
        await api.made(MAPS, a_map())
        far = str(int(await version(api)) + 1000)

        async with api.watch(MAPS, resourceVersion=far) as stream:
            event = await stream.next()

        assert (event["type"], event["object"]["code"]) == ("ERROR", 504)


async def test_a_list_of_initial_events_ends_with_a_bookmark(api: Api):
    await api.made(MAPS, a_map())
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}

    async with api.watch(MAPS, **query) as stream:
        added, mark = await stream.next(), await stream.next()
        await api.made(MAPS, a_map("b"))
        after = await stream.next()

    assert (added["type"], after["type"]) == ("ADDED", "ADDED")
    assert mark == {
        "type": "BOOKMARK",
        "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": added["object"]["metadata"]["resourceVersion"],
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        },
    }


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/v1/watch/namespaces/default/configmaps", ["a", "b"]),
        ("/api/v1/watch/namespaces/default/configmaps/b", ["b"]),
        ("/apis/apps/v1/watch/deployments", []),
    ],
)
async def test_the_old_way_to_watch_still_goes(api: Api, path: str, names: list[str]):
    for name in ("a", "b"):
        await api.made(MAPS, a_map(name))

    async with api.watch(path, watch="") as stream:
        told = await stream.take(len(names))

    assert told == [("ADDED", name) for name in names]
    assert (await api.post(path, a_map("c"))).status in (404, 405)


async def test_a_list_has_no_initial_events(api: Api):
    answer = await api.get(MAPS, query={"sendInitialEvents": "true"})

    assert (answer.status, answer.json["details"]["causes"][0]["field"]) == (422, "sendInitialEvents")


@pytest.mark.parametrize("version", ["", "0"])
async def test_no_initial_events_means_from_now_on(api: Api, version: str):
    await api.made(MAPS, a_map())
    query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan", "resourceVersion": version}

    async with api.watch(MAPS, **query) as stream:
        await api.made(MAPS, a_map("b"))

        assert await stream.take(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"resourceVersionMatch": "NotOlderThan"},
        {"resourceVersionMatch": "x"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "continue": "x"},
        {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan", "continue": "x"},
    ],
)
async def test_half_a_request_for_initial_events_is_a_422(api: Api, query: dict):
    assert (await api.get(MAPS, query={"watch": "true", **query})).error[:2] == (422, "Invalid")


@in_virtual_time
async def test_a_quiet_watch_that_allows_it_gets_a_bookmark_every_minute():
    async with running_api() as api:
        async with api.watch(MAPS, resourceVersion=await version(api), allowWatchBookmarks="true") as stream:
            await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}})
            event = await stream.next(120)

            assert 50 < asyncio.get_running_loop().time() < 70
        newest = await version(api)

    mark = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": newest}}
    assert event == {"type": "BOOKMARK", "object": mark}


@in_virtual_time
async def test_a_stream_ends_cleanly_after_its_timeout():
    async with running_api() as api:
        async with api.watch(MAPS, timeoutSeconds="7") as stream:
            assert await stream.next(60) is None

        assert asyncio.get_running_loop().time() == 7


@in_virtual_time
async def test_a_stream_without_timeout_ends_within_the_hour():
    async with running_api() as api:
        async with api.watch(MAPS) as stream:
            assert await stream.next(7200) is None

        assert 1800 <= asyncio.get_running_loop().time() <= 3600


@pytest.mark.parametrize("text", ["x", "1.5", "9" * 20])
async def test_a_garbage_timeout_is_a_400(api: Api, text: str):
    assert (await api.get(MAPS, query={"watch": "true", "timeoutSeconds": text})).error[:2] == (400, "BadRequest")


async def test_a_table_watch_names_its_columns_once(api: Api):
    async with api.watch(MAPS, accept=TABLE, resourceVersion=await version(api)) as stream:
        await api.made(MAPS, a_map("a"))
        await api.made(MAPS, a_map("b"))
        first, second = (await stream.next())["object"], (await stream.next())["object"]

    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert (second["kind"], cells_of(second["rows"][0])) == ("Table", ["b", 1, "0s"])
    assert second["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_metadata_watch_carries_metadata_only(api: Api):
    async with api.watch(MAPS, accept=PARTIAL, resourceVersion=await version(api)) as stream:
        made = await api.made(MAPS, a_map())
        event = await stream.next()

    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    assert event == {"type": "ADDED", "object": partial}


async def test_one_object_is_watched_by_its_name(api: Api):
    async with api.watch(MAPS, resourceVersion="0", fieldSelector="metadata.name=b") as stream:
        await api.made(MAPS, a_map("a"))
        await api.made(MAPS, a_map("b"))

        assert await stream.take(1) == [("ADDED", "b")]


async def test_a_watch_stays_in_its_namespace(api: Api):
    async with api.watch(MAPS, resourceVersion=await version(api)) as stream:
        await api.made("/api/v1/namespaces/kube-system/configmaps", a_map("a"))
        await api.made(MAPS, a_map("b"))

        assert await stream.take(1) == [("ADDED", "b")]


async def test_watch_on_an_object_is_a_plain_get(api: Api):
    made = await api.made(MAPS, a_map())

    assert (await api.get(f"{MAPS}/a", query={"watch": "true"})).json == made


async def test_a_client_that_hangs_up_is_forgotten(api: Api):
    await api.made(MAPS, a_map())
    async with api.watch(MAPS) as stream:
        await stream.next()
        assert len(api.server.watching) == 1

    assert len(api.server.watching) == 0


async def test_a_client_that_hangs_up_before_the_state_is_judged_gets_no_bookmarks(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("apiserver.reading.watching.BOOKMARK_SECONDS", 0.001)
    monkeypatch.setattr("apiserver.reading.selection.JUDGED_AT_A_TIME", 1)
    monkeypatch.setattr("apiserver.fairness.slices.SLICE_SECONDS", 0.0)
    for name in ("a", "b"):
        await api.made(MAPS, a_map(name))
    watcher = Watcher(Selection("", parse_label_selector("!x"), FieldTerms()), lambda type, stored: b"")
    form = Representation()
    stream = _events(api.server, ConfigMap, watcher, _Start(0, True, False, form, True), 60.0)

    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.sleep(0.02)

    assert (reading.cancelled(), watcher.take()) == (True, b"")


def a_watcher(frame=lambda type, stored: b"%s\n" % type.encode()) -> Watcher:
    return Watcher(Selection("", EVERYTHING, FieldTerms()), frame)


async def test_a_reader_that_falls_behind_is_cut_and_sees_nothing_after_the_gap(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND", 3)
    watcher = a_watcher()
    watcher.put(b"1\n")
    first = await watcher.chunk()

    for number in range(2, 10):
        watcher.put(b"%d\n" % number)

    assert (first, await watcher.chunk(), watcher.has_ended) == (b"1\n", b"", True)


async def test_a_reader_is_cut_by_bytes_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND_BYTES", 100)
    watcher = a_watcher()

    watcher.put(b"x" * 60)
    watcher.take()
    watcher.put(b"x" * 60)
    assert not watcher.has_ended
    watcher.put(b"x" * 60)
    assert watcher.has_ended


async def test_the_connection_of_a_reader_that_is_cut_ends_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND", 1)
    ended: list[str] = []
    watcher = Watcher(
        Selection("", EVERYTHING, FieldTerms()), lambda type, stored: b"", on_cut=lambda: ended.append("cut")
    )

    for number in range(5):
        watcher.put(b"%d\n" % number)

    assert ended == ["cut"]


async def test_a_past_of_large_objects_is_replayed_whole(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND_BYTES", 300_000)
    since = await version(api)
    for number in range(20):
        await api.made(MAPS, {**a_map(f"m{number:02}"), "data": {"k": "v" * 100_000}})

    async with api.watch(MAPS, resourceVersion=since) as stream:
        events = await stream.take(20)

    assert events == [("ADDED", f"m{number:02}") for number in range(20)]


async def test_a_watch_far_behind_is_brought_up_to_date(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND", 70)
    since = await version(api)
    for number in range(200):
        await api.made(MAPS, a_map(f"m{number:03}"))

    async with api.watch(MAPS, resourceVersion=since) as stream:
        events = await stream.take(200)

    assert events == [("ADDED", f"m{number:03}") for number in range(200)]


async def test_a_large_state_is_framed_as_it_is_read(api: Api):
    for number in range(20):
        await api.made(MAPS, {**a_map(f"m{number:02}"), "data": {"k": "v" * 50_000}})

    async with api.watch(MAPS) as stream:
        await api.made(MAPS, a_map("n"))
        events = await stream.take(21)

    assert events == [("ADDED", f"m{number:02}") for number in range(20)] + [("ADDED", "n")]


async def test_others_have_their_turn_while_a_large_state_is_told(api: Api, monkeypatch: pytest.MonkeyPatch):
    for number in range(100):
        await api.made(MAPS, a_map(f"m{number:03}"))
    monkeypatch.setattr(watchers, "CHUNK_SECONDS", 0.0)

    async with api.watch(MAPS) as stream:
        first = await stream.take(1)
        ahead = stream.chunks.qsize()
        others = await stream.take(99)

    assert ahead < 50
    assert first + others == [("ADDED", f"m{number:03}") for number in range(100)]
