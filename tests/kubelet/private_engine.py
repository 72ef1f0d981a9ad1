"""A Docker daemon of our own, to be stopped and frozen: no container, network or rule of another one is near."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from kubelet.cleanup import unmount_below
from tests.kubelet.docker_engine import have_image

START_SECONDS = 60


class PrivateEngine:
    """`dockerd` with files, a socket and a containerd of its own. Pods use its network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/docker.sock"
        # In a network namespace of its own: a daemon without a bridge removes docker0, which may be somebody's.
        self._command = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
        self._command += [
            "dockerd",
            "--host",
            self.url,
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/run",
        ]
        self._command += ["--pidfile", f"{folder}/docker.pid", "--bridge", "none", "--storage-driver", "vfs"]
        self._command += ["--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        self._command += ["--containerd-namespace", folder.name, "--containerd-plugins-namespace", f"{folder.name}-p"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; raises TimeoutError with its log."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise TimeoutError((self._folder / "log").read_text()[-2000:])

    def _answers(self) -> bool:
        # Not by the SDK, which leaves a socket open when it fails.
        with socket.socket(socket.AF_UNIX) as plain, contextlib.suppress(OSError):
            plain.settimeout(5)
            plain.connect(f"{self._folder}/docker.sock")
            plain.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in plain.recv(100)
        return False

    def client(self) -> docker.APIClient:
        return docker.APIClient(self.url, version="auto", timeout=10)

    def send(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM: it ends its containers, and itself."""
        if self._process is not None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            self._process.wait(30)
            self._process = None


@contextlib.contextmanager
def a_private_engine(folder: Path) -> Iterator[PrivateEngine]:
    """Running, with the test image. Skips where that cannot be."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a Docker daemon of one's own takes root and dockerd (apt install docker.io)")
    engine = PrivateEngine(folder)
    try:
        engine.start()
        client = engine.client()
        if reason := have_image(client):
            pytest.skip(reason)
        client.close()
        yield engine
        _remove_containers(engine)
    finally:
        engine.stop()
        unmount_below(folder)


def _remove_containers(engine: PrivateEngine) -> None:
    client = engine.client()
    for container in client.containers(all=True):
        client.remove_container(container["Id"], force=True)
    client.close()
