"""What people are told, and how much of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from fake_api import FakeApi, Perform, lost
from make import NOW, a_node, a_pod

from wherry.api.events.event import Event
from wherry.client import events
from wherry.client.event_series import BURST, COMBINED, EventSeries
from wherry.client.events import EventRecorder
from wherry.sim.virtual_time import in_virtual_time

POD = {"kind": "Pod", "name": "web", "namespace": "shop", "uid": "1"}


@asynccontextmanager
async def recording(api: FakeApi) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(api.client(), "kubelet", host="node-1")
    task = asyncio.create_task(recorder.run())
    yield recorder
    await recorder.flushed()
    task.cancel()


@in_virtual_time
async def test_an_event_says_what_happened_to_whom_and_who_says_so():
    api = FakeApi()
    async with recording(api) as recorder:
        recorder.record(a_pod("web", namespace="shop"), "Pulled", "image is there", action="Pulling")
    [event] = api.objects.values()

    assert {key: value for key, value in event.items() if key != "metadata"} == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "shop",
            "name": "web",
            "uid": "pod-shop-web",
            "resourceVersion": "1",
        },
        "reason": "Pulled",
        "message": "image is there",
        "type": "Normal",
        "action": "Pulling",
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    assert event["metadata"]["name"].startswith("web.")


@in_virtual_time
async def test_the_same_again_is_counted():
    api = FakeApi()
    async with recording(api) as recorder:
        for _ in range(3):
            recorder.record(a_pod("web"), "BackOff", "restarting", "Warning")
            await asyncio.sleep(60)
    [event] = api.all(Event)

    assert (event.count, event.first_timestamp, event.last_timestamp) == (3, NOW, NOW + timedelta(minutes=2))


@in_virtual_time
async def test_an_event_may_be_about_a_part_of_an_object():
    api = FakeApi()
    async with recording(api) as recorder:
        for path in ("spec.containers{app}", "spec.containers{side}", "spec.containers{app}"):
            recorder.record(a_pod("web"), "Started", "started", field_path=path)

    told = [(event.about.field_path, event.count) for event in api.all(Event)]
    assert sorted(told) == [("spec.containers{app}", 2), ("spec.containers{side}", 1)]


@in_virtual_time
async def test_an_event_about_a_cluster_wide_object_stands_in_default():
    api = FakeApi()
    async with recording(api) as recorder:
        recorder.record(a_node("n1"), "Ready", "node is ready")

    assert [event.metadata.namespace for event in api.all(Event)] == ["default"]


@in_virtual_time
async def test_a_counted_event_that_expired_begins_anew():
    api = FakeApi()
    async with recording(api) as recorder:
        recorder.record(a_pod("web"), "BackOff", "restarting")
        await asyncio.sleep(1)
        api.remove(api.all(Event)[0])
        recorder.record(a_pod("web"), "BackOff", "restarting")

    assert [event.count for event in api.all(Event)] == [2]


@in_virtual_time
async def test_a_server_that_is_away_for_a_while_costs_no_event():
    api = FakeApi()

    async def away(method: str, path: str, perform: Perform) -> Any:
        if asyncio.get_running_loop().time() < 10:
            raise lost()
        return await perform()

    api.disturb = away
    async with recording(api) as recorder:
        recorder.record(a_pod("web"), "Pulled", "image is there")

    assert len(api.all(Event)) == 1


@in_virtual_time
async def test_a_full_queue_makes_nobody_wait():
    recorder = EventRecorder(FakeApi().client(), "kubelet")
    for number in range(events.QUEUE_SIZE + 5):
        recorder.record(a_pod(f"pod-{number}"), "Pulled", "image is there")

    assert recorder.lost == 5


def test_other_types_of_event_are_refused():
    with pytest.raises(ValueError, match="event type 'Error': allowed are Normal and Warning"):
        EventRecorder(FakeApi().client(), "kubelet").record(a_pod(), "Failed", "it failed", "Error")


def test_many_alike_become_one():
    series = EventSeries()
    told = [series.told(POD, "Failed", f"try {number}", "Warning", NOW) for number in range(12)]

    assert [(event.message, event.count) for event in told if event][8:] == [
        ("try 8", 1),
        (f"{COMBINED}try 9", 1),
        (f"{COMBINED}try 10", 2),
        (f"{COMBINED}try 11", 3),
    ]


def test_alike_means_within_ten_minutes():
    series = EventSeries()
    times = [NOW + timedelta(minutes=11 * number) for number in range(12)]
    told = [series.told(POD, "Failed", f"try {at}", "Warning", at) for at in times]

    assert [event.count for event in told if event] == [1] * 12


def test_a_flood_about_one_object_is_dropped_and_others_are_heard():
    series, other = EventSeries(), {**POD, "name": "mail", "uid": "2"}

    def told(about: dict[str, str], at: datetime) -> bool:
        return series.told(about, "BackOff", "restarting", "Warning", at) is not None

    assert [told(POD, NOW) for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert told(other, NOW)
    assert [told(POD, NOW + timedelta(minutes=5)) for _ in range(2)] == [True, False]


def test_names_of_one_instant_differ():
    series = EventSeries()
    names = {series.told(POD, f"Reason{number}", "x", "Normal", NOW).name for number in range(20)}  # type: ignore[union-attr]

    assert len(names) == 20
