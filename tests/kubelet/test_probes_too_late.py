"""Probes that get no answer in time fail, and say what Kubernetes says of them."""

import socket
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubelet.actions import Outcome, Target, perform
from kubelet.runtime.fake import FakeRuntime
from wherry.api.core.pod import Container
from wherry.api.core.pod.container import Action


class Stuck(FakeRuntime):
    """Commands that run in it never end."""

    async def run(self, container_id: str, command: tuple[str, ...], timeout_seconds: float) -> Any:
        raise TimeoutError


@pytest.fixture
def mute_port():
    """Connections are taken, and nobody says a word."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        yield mute.getsockname()[1]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            {"exec": {"command": ["sh", "-c", 'test -e "/ready"']}},
            'command timed out: "sh -c test -e \\"/ready\\"" timed out after 50ms',
        ),
        (
            {"httpGet": {"port": "web", "path": "health"}},
            'Get "http://127.0.0.1:{port}/health": '
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        ),
    ],
)
async def test_a_probe_without_an_answer_says_what_was_asked(mute_port: int, action: dict[str, Any], message: str):
    container = msgspec.convert({"name": "app", "ports": [{"name": "web", "containerPort": mute_port}]}, Container)
    target = Target(Stuck(lambda: datetime.now(UTC)), "c1", container, "127.0.0.1")

    outcome = await perform(msgspec.convert(action, Action), target, 0.05)

    assert outcome == Outcome(False, message.replace("{port}", str(mute_port)))
