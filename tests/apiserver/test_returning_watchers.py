"""After a restart everybody who watched comes back: the store is asked once for what they missed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiserver.reading import past
from apiserver.storage.etcd import EtcdStore
from apiserver.storage.etcd_marks import MARK_KEY
from apiserver.storage.memory import MemoryStore
from apiserver.storage.opening import EtcdOptions
from apiserver.storage.store import Change, StoreError
from tests.apiserver.local_api import Api, running_api
from tests.apiserver.test_objects import MAPS, a_map
from tests.storage.etcd_server import start_etcd
from wherry.api.core.secret import Secret

NAMES = "abcdefgh"


class RecordingEtcd(EtcdStore):
    """An etcd that remembers from which revisions it was watched."""

    def __init__(self, options: EtcdOptions) -> None:
        super().__init__(options)
        self.watched_from: list[int] = []

    def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        self.watched_from.append(since)
        return super().watch(prefix, since=since)


async def history(api: Api) -> list[str]:
    """Make a few objects; the version before the first of them, and after each."""
    before = (await api.get(MAPS)).json["metadata"]["resourceVersion"]
    return [before, *[(await api.made(MAPS, a_map(name)))["metadata"]["resourceVersion"] for name in NAMES]]


async def missed(api: Api, since: str) -> str:
    """What a watcher is told that saw this version last: names, or the code of an error."""
    told = ""
    async with api.watch(MAPS, resourceVersion=since) as stream:
        while not told.endswith(NAMES[-1]) and (event := await stream.next()):
            told += event["object"]["metadata"].get("name", "") or str(event["object"]["code"])
    return told


async def all_missed(api: Api, versions: list[str]) -> list[str]:
    return await asyncio.gather(*(missed(api, version) for version in versions))


async def test_all_who_come_back_share_one_watch_of_etcd(tmp_path: Path):
    with start_etcd(tmp_path) as etcd:
        options = EtcdOptions(endpoints=(etcd.url,))
        async with running_api(await EtcdStore.open(options)) as first:
            versions = await history(first)
        store = await RecordingEtcd.open(options)
        async with running_api(store) as second:
            told = await all_missed(second, versions[-2::-1] * 5)

    assert told == [NAMES[number:] for number in reversed(range(len(NAMES)))] * 5
    assert store.watched_from[1:] == [int(versions[0])]  # besides the one that feeds the cache


async def test_nobody_waits_for_the_next_change_where_others_wrote_last(tmp_path: Path):
    with start_etcd(tmp_path) as etcd:
        options = EtcdOptions(endpoints=(etcd.url,))
        async with running_api(await EtcdStore.open(options)) as first:
            versions = await history(first)
        other = await EtcdStore.open(options)
        await other.put("/elsewhere/a", b"1", expected=0)
        async with running_api(await EtcdStore.open(options)) as second:
            told = await missed(second, versions[-2])
            await other.put("/elsewhere/b", b"1", expected=0)
            listed = await second.get(MAPS)
            marked = await other.get(MARK_KEY)
        await other.close()

    assert (told, listed.status, marked is not None) == (NAMES[-1], 200, True)


async def test_a_long_past_is_read_in_pages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(past, "PAGE_CHANGES", 3)
    async with running_api(store := MemoryStore()) as first:
        versions = await history(first)
        async with running_api(store) as second:
            told = await all_missed(second, versions[:-1])

    assert told == [NAMES[number:] for number in range(len(NAMES))]


async def test_who_asks_for_what_is_gone_spoils_it_for_nobody():
    async with running_api(store := MemoryStore()) as first:
        versions = await history(first)
        async with running_api(store) as second:
            await store.compact(int(versions[3]))

            assert await all_missed(second, versions[:5]) == ["410", "410", "410", NAMES[3:], NAMES[4:]]


async def test_a_kind_that_is_declared_later_has_a_past_as_well():
    async with running_api(store := MemoryStore()) as first:
        versions = await history(first)
        async with running_api(store) as second:
            await missed(second, versions[0])
            cache = second.server.cache
            maps = next(each for each in cache.all() if each.cls.kind.plural == "configmaps")
            cache.retract(maps.cls)
            cache.declare(maps.cls)

            assert await missed(second, versions[4]) == NAMES[4:]


async def test_a_value_that_nobody_can_decrypt_any_more_concerns_only_its_kind():
    async with running_api(store := MemoryStore()) as first:
        versions = await history(first)
        key = "/registry/secrets/default/s"
        locked = await store.put(key, b"k8s:enc:aescbc:v1:gone:", expected=0)
        await store.delete(key, expected=locked.revision)
        async with running_api(store) as second:
            assert await missed(second, versions[3]) == NAMES[3:]
            with pytest.raises(StoreError):  # it must not seem that nothing happened
                await anext(second.server.cache.replay(Secret, int(versions[0]), locked.revision))
