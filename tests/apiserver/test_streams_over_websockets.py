"""Answers that go on, asked for over a WebSocket: a watch is told line by line."""

import json
from pathlib import Path

import pytest

from apiserver.reading import watchers
from tests.apiserver.local_api import CORE
from tests.apiserver.served_api import served_api


async def test_a_watch_tells_each_event_in_a_message(tmp_path: Path):
    async with served_api(tmp_path) as served:
        for name in ("a", "b"):
            await served.api.made(f"{CORE}/configmaps", {"metadata": {"name": name}})

        query = "watch=1&resourceVersion=0&fieldSelector=metadata.name!=kube-root-ca.crt&timeoutSeconds=1"
        async with served.session.ws_connect(f"{served.url}{CORE}/configmaps?{query}") as socket:
            events = [json.loads(message.data) async for message in socket]

    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]


async def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchers, "MAX_BEHIND", 0)
    async with (
        served_api(tmp_path) as served,
        served.session.ws_connect(f"{served.url}{CORE}/secrets?watch=1&resourceVersion=0") as socket,
    ):
        await served.api.made(f"{CORE}/secrets", {"metadata": {"name": "a"}})
        messages = [message async for message in socket]

    assert (messages, socket.close_code) == ([], 1006)
