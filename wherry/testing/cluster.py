"""The cluster of a test: one process beside the test's, on a free port, with certificates and files of its own.

It ends with the test, also when the test's process is killed: the process waits for the end of its standard input.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY = b"ready"
START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_SHOWN_LINES = 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is ready. `kubeconfig` is a file for kubectl and clients; its user may do everything."""

    kubeconfig: str
    url: str
    folder: Path


@contextmanager
def cluster(nodes: int = 1, gpus: int = 0) -> Iterator[Cluster]:
    """A cluster with so many nodes (`fake-1`, `fake-2`, …), all Ready, each with so many GPUs; gone afterwards.

    Pods get an address and become Ready at once; those of Jobs succeed. A pod's annotation `sim.wherry.dev/fate` asks
    for another fate: `unready`, `no-image`, `succeeds`, `fails`; `sim.wherry.dev/exit-code` for an end with that code.
    What it uses is what `sim.wherry.dev/cpu` and `sim.wherry.dev/memory` say, or half of what it requests.
    Raises RuntimeError if it does not come up.
    """
    for what, number in (("nodes", nodes), ("gpus", gpus)):
        if number < 0:
            raise ValueError(f"{what}: expected 0 or more, got {number}")
    with tempfile.TemporaryDirectory(prefix="wherry-") as folder:
        port = _free_port()
        process = _start(Path(folder), port, nodes, gpus)
        try:
            _wait_until_ready(process, Path(folder))
            kubeconfig = Path(folder) / "kubeconfig" / "admin.conf"
            yield Cluster(str(kubeconfig), f"https://127.0.0.1:{port}", Path(folder))
        finally:
            _stop(process)


def _start(folder: Path, port: int, nodes: int, gpus: int) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-P", "-m", "wherry.testing.control_plane")
    options = ("--data-dir", str(folder), "--port", str(port), "--nodes", str(nodes), "--gpus", str(gpus))
    with (folder / "cluster.log").open("wb") as log:
        return subprocess.Popen((*command, *options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    """It prints a line when it is ready; others may come before."""
    if process.stdout is None:
        raise RuntimeError("the cluster's process has no output")
    began = time.monotonic()
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while READY not in said.splitlines():
            left = began + START_SECONDS - time.monotonic()
            piece = os.read(process.stdout.fileno(), 65536) if left > 0 and selector.select(left) else b""
            if not piece:
                lines = (folder / "cluster.log").read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
                raise RuntimeError("\n".join(("the test cluster does not come up; the end of its log:", *lines)))
            said += piece


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
