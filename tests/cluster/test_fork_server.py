"""The fork server by itself: in what order it starts things, and what it does when the system lets it fork no more."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wherry.cluster.supervision.fork_server import ForkServer

# What comes first needs no imports; what comes last waits for somebody to open its gate.
SERVER = """
import socket
from wherry.cluster.supervision.fork_server import ForkServer
ForkServer(socket.socket(fileno=0), {"timeit": (), "calendar": ("gated",)}).serve()
"""


def test_a_fork_that_fails_is_told_and_ends_nobody(monkeypatch: pytest.MonkeyPatch):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(os, "fork", no_more_processes)

    with ours, theirs:
        ours.sendall(asked_for("timeit") * 2)
        ours.shutdown(socket.SHUT_WR)
        ForkServer(theirs, preloaded={}).serve()
        told = ours.recv(4096).splitlines()

    assert [msgspec.json.decode(line) for line in told] == [{"name": "x", "failed": errno.EAGAIN}] * 2


def test_what_comes_first_starts_before_the_rest_is_imported(tmp_path: Path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "gated.py").write_text(f"print(open({str(gate)!r}).read())")
    ours, theirs = socket.socketpair()

    with ours, theirs, subprocess.Popen([sys.executable, "-c", SERVER], stdin=theirs, cwd=tmp_path) as server:
        ours.sendall(asked_for("calendar") + asked_for("timeit"))
        first = answer(ours)
        gate.write_text("open")
        second = answer(ours)
        server.kill()

    assert (first.keys(), second.keys()) == ({"name", "started"}, {"name", "started"})


PAINTER = """
import os, socket
from wherry.cluster.supervision.fork_server import ForkServer
server = ForkServer(socket.socket(fileno=os.dup(0)), {"timeit": ("paint",)})
server.heed_signals()
server.serve()
"""


def test_what_is_started_again_runs_the_code_that_is_there_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    ours, theirs = socket.socketpair()
    painting = asked_for("timeit", "-n1", "-r1", "import paint; print(paint.color)", log=tmp_path / "log")
    (tmp_path / "paint.py").write_text("color = 'red'")

    with ours, theirs, subprocess.Popen([sys.executable, "-c", PAINTER], stdin=theirs, cwd=tmp_path) as server:
        for _ in range(2):
            ours.sendall(painting)
            while b"ended" not in ours.recv(4096):
                pass
            (tmp_path / "paint.py").write_text("color = 'yellow'")
        server.kill()

    red, _, changed, yellow, _ = (tmp_path / "log").read_text().splitlines()
    assert (red, changed.split(",")[0], yellow) == ("red", "lab: x: Wherry's code has changed", "yellow")


def asked_for(module: str, *options: str, log: Path = Path("/dev/null")) -> bytes:
    request = {"module": module, "options": options, "log": str(log), "name": "x", "title": "lab: x"}
    return msgspec.json.encode(request) + b"\n"


def answer(server: socket.socket) -> dict[str, Any]:
    """The next line it says, of which each comes by itself here."""
    answered: dict[str, Any] = msgspec.json.decode(server.recv(4096))
    return answered


def no_more_processes() -> int:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
