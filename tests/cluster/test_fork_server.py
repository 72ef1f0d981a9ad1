"""The fork server by itself: what it does when the system lets it fork no more."""

import errno
import os
import socket

import msgspec
import pytest

from wherry.cluster.supervision.fork_server import ForkServer


def test_a_fork_that_fails_is_told_and_ends_nobody(monkeypatch: pytest.MonkeyPatch):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(os, "fork", no_more_processes)
    request = msgspec.json.encode({"module": "timeit", "options": [], "log": "/dev/null", "name": "x"}) + b"\n"

    with ours, theirs:
        ours.sendall(request + request)
        ours.shutdown(socket.SHUT_WR)
        ForkServer(theirs).serve()
        told = ours.recv(4096).splitlines()

    assert [msgspec.json.decode(line) for line in told] == [{"failed": errno.EAGAIN}] * 2


def no_more_processes() -> int:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
