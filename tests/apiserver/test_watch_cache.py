"""The watch cache: how much of the past it keeps, and what it does with what it cannot read."""

import asyncio

import pytest

from apiserver.reading import watch_cache
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Change
from tests.apiserver.local_api import Api
from tests.apiserver.test_objects import MAPS, a_map
from wherry.api.core.config_map import ConfigMap


@pytest.mark.parametrize(("limit", "value"), [("HISTORY", 5), ("HISTORY_BYTES", 1500)])
async def test_the_past_is_kept_within_bounds_and_never_with_a_hole(
    api: Api, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
):
    monkeypatch.setattr(watch_cache, limit, value)
    cache = api.server.cache.of(ConfigMap)

    made = [await api.made(MAPS, a_map(f"m{number}")) for number in range(20)]

    kept = [event.revision for event in cache.history]
    versions = [int(each["metadata"]["resourceVersion"]) for each in made]
    assert 3 <= len(kept) <= 8
    assert kept == versions[-len(kept) :]
    assert cache.history_since == versions[-len(kept) - 1]
    assert all(not event.frames for event in cache.history)


async def test_a_value_that_is_no_object_is_left_out_and_harms_nobody(api: Api):
    store = api.server.store
    await store.put("/registry/configmaps/default/broken", b"\x00not an object", expected=0)
    await store.put("/registry/unknown/default/thing", b"{}", expected=0)

    made = await api.made(MAPS, a_map())

    assert [item["metadata"]["name"] for item in (await api.get(MAPS)).json["items"]] == ["a"]
    assert (await api.get(f"{MAPS}/a")).json == made


async def test_a_broken_value_replaced_by_a_good_one_is_seen_again(api: Api):
    store, key = api.server.store, "/registry/configmaps/default/a"
    await api.made(MAPS, a_map())
    good = await store.get(key)
    bad = await store.put(key, b"\x00", expected=good.revision)
    mended = await store.put(key, good.value, expected=bad.revision)

    await api.server.cache.fresh()

    metadata = (await api.get(f"{MAPS}/a")).json["metadata"]
    assert metadata["resourceVersion"] == str(mended.revision)


async def test_who_waits_for_a_revision_is_woken_when_the_cache_is_filled_with_it():
    store = MemoryStore()
    await store.put("/registry/configmaps/default/a", b"{}", expected=0)
    cache = watch_cache.WatchCache(store, [ConfigMap])
    waiting = asyncio.ensure_future(cache.fresh())
    await asyncio.sleep(0)

    await cache.fill()

    assert await asyncio.wait_for(waiting, 5) == 1
    await store.close()


def test_a_change_without_a_past_is_an_event_without_before():
    from apiserver.reading.watch_cache import ResourceCache

    cache = ResourceCache(ConfigMap)
    value = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"default"}}'

    cache.apply(Change("/registry/configmaps/default/a", value, 5, None))

    stored = cache.get("default", "a")
    assert (stored.name, stored.revision, cache.revision) == ("a", 5, 5)


async def test_the_order_of_all_is_that_of_the_keys_whatever_changes(api: Api):
    for namespace in ("shop", "shop-2"):
        await api.made("/api/v1/namespaces", {"metadata": {"name": namespace}})
        for name in ("b", "a"):
            await api.made(f"/api/v1/namespaces/{namespace}/configmaps", a_map(name))
    cache = api.server.cache.of(ConfigMap)
    assert len(list(cache.objects("shop"))) == 2

    await api.made("/api/v1/namespaces/shop/configmaps", a_map("aa"))
    await api.delete("/api/v1/namespaces/shop/configmaps/b")
    await api.patch("/api/v1/namespaces/shop/configmaps/a", {"data": {"k": "w"}})
    await api.server.cache.fresh()

    listed = [(stored.key, stored.revision) for stored in cache.objects()]
    stored = await api.server.store.list("/registry/configmaps/")
    assert listed == [(entry.key, entry.revision) for entry in stored.entries]
    assert [key.rsplit("/", 2)[1:] for key, _ in listed][-4:] == [
        ["shop-2", "a"],
        ["shop-2", "b"],
        ["shop", "a"],
        ["shop", "aa"],
    ]


@pytest.mark.parametrize("namespace", ["", "default", "other"])
async def test_what_is_remembered_of_each_revision_is_what_the_store_says(api: Api, namespace: str):
    cache, store = api.server.cache.of(ConfigMap), api.server.store
    start = await store.revision()
    await api.made(MAPS, a_map("b"))
    await api.made(MAPS, a_map("a"))
    await api.patch(f"{MAPS}/b", {"data": {"k": "w"}})
    await api.delete(f"{MAPS}/a")
    await api.made(MAPS, a_map("a"))
    await api.made("/api/v1/namespaces", {"metadata": {"name": "other"}})
    await api.made("/api/v1/namespaces/other/configmaps", a_map("c"))
    end = await api.server.cache.fresh()

    for revision in range(start, end + 1):
        prefix = f"/registry/configmaps/{namespace}/" if namespace else "/registry/configmaps/"
        then = [(entry.key, entry.revision) for entry in (await store.list(prefix, at=revision)).entries]
        assert [(stored.key, stored.revision) for stored in cache.at(revision, namespace) or ()] == then

    assert cache.at(cache.history_since - 1) is None
