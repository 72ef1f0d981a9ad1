"""A three-member etcd that loses its leader, a member or a connection under writers and a watch."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from apiserver.storage import Change, Conflict, Entry, EtcdOptions, Store, StoreUnavailable, open_store
from tests.storage.cable import cables
from tests.storage.etcd_server import EtcdServer, start_cluster, start_etcd, wait_until_healthy
from tests.storage.store_client import take

WRITERS = 16
WRITES = 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[EtcdServer]]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as members:
        yield members


class Storm:
    """Writers that never give up and a watch from before them, on keys of their own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.prefix = f"/registry/{uuid4().hex}/"
        self.acknowledged: list[Entry] = []
        self.seen: list[Change] = []
        self.is_over = False
        self._goal = 0
        self._reached = asyncio.Event()

    async def more_writes(self) -> None:
        """Wait until the store has acknowledged so many more."""
        self._goal = len(self.acknowledged) + WRITES
        self._reached.clear()
        async with asyncio.timeout(30):
            await self._reached.wait()

    async def write(self, key: str) -> None:
        revision = 0
        while not self.is_over:
            try:
                entry = await self.store.put(key, uuid4().hex.encode(), expected=revision)
                self.acknowledged.append(entry)
                revision = entry.revision
            except Conflict as conflict:
                revision = conflict.found.revision if conflict.found else 0
            except StoreUnavailable:
                continue
            if len(self.acknowledged) >= self._goal:
                self._reached.set()

    async def watch(self, since: int) -> None:
        async for change in self.store.watch(self.prefix, since=since):
            self.seen.append(change)
            if change.key.endswith("/last"):
                return


async def survive(urls: list[str], hurt: Callable[[], None], heal: Callable[[], None]) -> None:
    """Raise a storm, hurt the cluster in it, heal it, and see that nothing acknowledged or watched was lost."""
    store = await open_store(EtcdOptions(endpoints=tuple(urls)))
    storm, since = Storm(store), await store.revision()
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(storm.watch(since))
        writers = [tasks.create_task(storm.write(f"{storm.prefix}{n}")) for n in range(WRITERS)]
        await storm.more_writes()
        await asyncio.to_thread(hurt)
        await storm.more_writes()
        await asyncio.to_thread(heal)
        await storm.more_writes()
        storm.is_over = True
        await asyncio.gather(*writers)
        await store.put(storm.prefix + "last", b"", expected=0)
        await watch

    history = await take(len(storm.seen), store.watch(storm.prefix, since=since))
    assert storm.seen == history
    written = {(change.key, change.value, change.revision) for change in history}
    assert {tuple(entry) for entry in storm.acknowledged} <= written
    await store.close()


async def test_a_killed_leader_costs_no_acknowledged_write_and_no_event(cluster: list[EtcdServer]) -> None:
    leader = next(member for member in cluster if member.is_leader)
    urls = [leader.url, *(member.url for member in cluster if member is not leader)]

    def restart() -> None:
        leader.start()
        wait_until_healthy(cluster)

    await survive(urls, leader.kill, restart)


async def test_a_killed_follower_costs_no_acknowledged_write_and_no_event(cluster: list[EtcdServer]) -> None:
    follower = next(member for member in cluster if not member.is_leader)
    urls = [follower.url, *(member.url for member in cluster if member is not follower)]

    def restart() -> None:
        follower.start()
        wait_until_healthy(cluster)

    await survive(urls, follower.kill, restart)


async def test_a_lonely_server_that_is_killed_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    with start_etcd(tmp_path) as server:

        def crash() -> None:
            server.kill()
            server.start()
            wait_until_healthy([server])

        await survive([server.url], crash, crash)


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_a_paused_member_costs_no_acknowledged_write_and_no_event(cluster: list[EtcdServer], role: str) -> None:
    paused = next(member for member in cluster if member.is_leader == (role == "leader"))
    urls = [paused.url, *(member.url for member in cluster if member is not paused)]

    await survive(urls, lambda: paused.send(signal.SIGSTOP), lambda: paused.send(signal.SIGCONT))


async def test_a_cut_connection_costs_no_acknowledged_write_and_no_event(cluster: list[EtcdServer]) -> None:
    loop = asyncio.get_running_loop()
    async with cables([member.url for member in cluster]) as laid:
        first, second, _ = laid

        def cut() -> None:
            loop.call_soon_threadsafe(first.cut)

        def cut_the_other() -> None:
            loop.call_soon_threadsafe(first.mend)
            loop.call_soon_threadsafe(second.cut)

        await survive([cable.url for cable in laid], cut, cut_the_other)


async def test_an_outage_of_all_connections_ends_when_they_are_mended(cluster: list[EtcdServer]) -> None:
    async with cables([cluster[0].url]) as (cable,):
        store = await open_store(EtcdOptions(endpoints=(cable.url,)))
        key = f"/registry/{uuid4().hex}"
        watch = asyncio.create_task(take(1, store.watch(key, since=await store.revision())))

        cable.cut()
        put = asyncio.create_task(store.put(key, b"1", expected=0))
        await asyncio.wait([put], timeout=0.5)
        cable.mend()

        assert (await put).key == key
        assert [change.value for change in await watch] == [b"1"]
        await store.close()


async def test_a_write_whose_answer_is_lost_is_found_to_have_happened(cluster: list[EtcdServer]) -> None:
    async with cables([cluster[0].url]) as (cable,):
        store = await open_store(EtcdOptions(endpoints=(cable.url,)))
        key, before = f"/registry/{uuid4().hex}", await store.revision()

        cable.lose_next_answer()
        created = await store.put(key, b"1", expected=0)
        cable.lose_next_answer()
        updated = await store.put(key, b"2", expected=created.revision)

        assert [change[:3] for change in await take(2, store.watch(key, since=before))] == [created, updated]
        assert await store.revision() == updated.revision
        await store.close()


async def test_a_deletion_whose_answer_is_lost_is_not_claimed_by_us(cluster: list[EtcdServer]) -> None:
    async with cables([cluster[0].url]) as (cable,):
        store = await open_store(EtcdOptions(endpoints=(cable.url,)))
        entry = await store.put(f"/registry/{uuid4().hex}", b"1", expected=0)

        cable.lose_next_answer()
        with pytest.raises(StoreUnavailable, match="unknown whether the write happened"):
            await store.delete(entry.key, expected=entry.revision)

        assert await store.get(entry.key) is None
        await store.close()
