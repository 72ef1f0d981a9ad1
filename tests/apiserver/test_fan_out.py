"""Delivering to many watchers: directly to those who read, in order for those who do not, and others in between."""

import asyncio

import pytest

from apiserver.reading import fan_out, watchers
from apiserver.reading.fan_out import FanOut
from apiserver.reading.selection import Selection
from apiserver.reading.stored import Stored
from apiserver.reading.watchers import Event, Watcher, Watchers
from wherry.api.core.pod import Pod
from wherry.machinery.selectors import EVERYTHING, FieldTerms


class Client:
    """A connection that takes what is written while it reads, and a watcher whose task reads in its place."""

    def __init__(self, line: FanOut) -> None:
        self.seen: list[bytes] = []
        self.by_task = 0
        self.reads = True
        self.is_broken = False
        self.watcher = Watcher(Selection("", EVERYTHING, FieldTerms()), lambda type, stored: b"")
        self.line = line
        self.watcher.connect(line, self.write)

    def write(self, chunk: bytes) -> bool:
        if self.is_broken:
            raise RuntimeError("the handle is closed")
        if self.reads:
            self.seen.append(chunk)
        return self.reads

    async def run(self) -> None:
        while chunk := await self.watcher.chunk():
            self.by_task += 1
            self.seen.append(chunk)


@pytest.fixture
async def client():
    client = Client(FanOut())
    task = asyncio.ensure_future(client.run())
    await turns()
    yield client
    client.watcher.end()
    await task


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_reads_is_written_to_and_its_task_sleeps_on(client: Client):
    client.watcher.put(b"1")
    await turns()
    client.watcher.put(b"2")
    client.watcher.put(b"3")
    await turns()

    assert (client.seen, client.by_task) == ([b"1", b"23"], 0)


async def test_who_does_not_read_is_served_by_its_task_and_nothing_is_lost_or_doubled(client: Client):
    for number in range(9):
        client.reads = number % 3 == 0
        client.watcher.put(b"%d" % number)
        await turns()

    assert (b"".join(client.seen), client.by_task) == (b"012345678", 6)


async def test_what_waits_at_the_end_is_sent_before_it_and_nothing_after_it(client: Client):
    client.watcher.put(b"1")
    client.watcher.end()
    client.watcher.put(b"2")
    await turns()

    assert (client.seen, client.by_task) == ([b"1"], 1)


async def test_one_write_is_bounded_and_the_rest_follows(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "CHUNK_BYTES", 2)
    for number in range(5):
        client.watcher.put(b"%d" % number)
    await turns()

    assert client.seen == [b"01", b"23", b"4"]


async def test_a_connection_that_breaks_ends_its_watch_and_no_other(client: Client):
    other = Client(client.line)
    reading = asyncio.ensure_future(other.run())
    await turns()
    client.is_broken = True

    for chunk in (b"1", b"2"):
        for watcher in (client.watcher, other.watcher):
            watcher.put(chunk)
        await turns()
    other.watcher.end()
    await reading

    assert (client.seen, client.watcher.has_ended, other.seen) == ([], True, [b"1", b"2"])


def test_an_object_that_cannot_be_shown_in_one_form_is_told_in_the_others():
    def broken(type: str, stored: Stored) -> bytes:
        raise ValueError("no such form")

    cut, everything = [], Selection("", EVERYTHING, FieldTerms())
    well = Watcher(everything, lambda type, stored: stored.item)
    all_of_them = Watchers(Pod.kind)
    all_of_them.add(Watcher(everything, broken, "other", on_cut=lambda: cut.append(1)))
    all_of_them.add(well)
    all_of_them.dispatch(Event(7, None, Stored(Pod, "/registry/pods/a/b", b'{"metadata":{}}', 7)))

    assert (cut, well.take()[:12]) == ([1], b'{"metadata":')


async def test_others_have_their_turn_between_slices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fan_out, "STRIDE", 2)
    monkeypatch.setattr(fan_out, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(fan_out, "MAX_SECONDS", 0.0)
    line, order = FanOut(), []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def deliver(self) -> None:
            order.append(self.name)

    for name in "abcd":
        line.add(Named(name))
    asyncio.get_running_loop().call_soon(order.append, "a request")
    await turns()

    assert order == ["a", "b", "a request", "c", "d"]
