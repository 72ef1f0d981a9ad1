"""Ports nobody listens on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Container

_HIGHEST = 65535


def is_free(port: int, address: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> bool:
    """Whether we may listen there."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def first_free(port: int, taken: Container[int] = (), address: str = "127.0.0.1") -> int:
    """The first free port from `port` on that is not taken by a plan of ours either."""
    for candidate in range(port, _HIGHEST + 1):
        if candidate not in taken and is_free(candidate, address):
            return candidate
    raise OSError(errno.EADDRINUSE, f"no free port from {port} on")
