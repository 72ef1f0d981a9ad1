"""etcd-compose.yml brings up three members that keep their data, here in an image made of this machine's binaries."""

import asyncio
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from apiserver.storage import EtcdOptions, open_store
from tests.storage.etcd_server import free_ports
from tests.storage.write_storm import REPOSITORY

BINARIES = ("etcd", "etcdctl")
NEEDED = {"docker-compose": "docker-compose", "docker": "docker.io", "etcd": "etcd-server", "etcdctl": "etcd-client"}


class Compose:
    """One project of docker-compose with ports, volumes and an image of its own."""

    def __init__(self, image: str) -> None:
        ports = free_ports(3)
        self.options = EtcdOptions(endpoints=tuple(f"http://127.0.0.1:{port}" for port in ports))
        self._environment = {f"ETCD_PORT_{index}": str(port) for index, port in enumerate(ports, 1)}
        self._environment |= {**os.environ, "ETCD_IMAGE": image}
        self._command = ["docker-compose", "-p", f"wherrytest-{uuid4().hex[:8]}", "-f", "etcd-compose.yml"]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], cwd=REPOSITORY, env=self._environment, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"docker-compose {' '.join(arguments)}: {done.stderr}")
        return done.stdout


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    for program, package in NEEDED.items():
        if not shutil.which(program):
            pytest.skip(f"no {program} on this machine: apt-get install {package}")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon that this user may use")
    archive, name = tmp_path / "image.tar", f"wherrytest-etcd:{uuid4().hex[:8]}"
    with tarfile.open(archive, "w") as tar:
        for inside, here in _files_of(BINARIES).items():
            tar.add(os.path.realpath(here), arcname=inside)
    subprocess.run(["docker", "import", "-c", "ENV PATH=/usr/bin", archive, name], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True)


@pytest.fixture
def compose(image: str) -> Iterator[Compose]:
    compose = Compose(image)
    try:
        compose("up", "-d")
        yield compose
    finally:
        compose("down", "-v", "-t", "1")


def _files_of(programs: tuple[str, ...]) -> dict[str, str]:
    """The programs and the shared libraries that they load: paths in the image, and here."""
    files = {f"/usr/bin/{program}": shutil.which(program) or "" for program in programs}
    linked = subprocess.run(["ldd", *files.values()], capture_output=True, text=True).stdout
    return files | {library: library for library in re.findall(r"(/\S+) \(0x", linked)}


async def test_three_members_start_lose_one_and_keep_their_data(compose: Compose) -> None:
    store = await open_store(compose.options)
    first = await store.put("/registry/a", b"x" * 3 * 1024 * 1024, expected=0)
    await asyncio.to_thread(compose, "kill", "etcd-1")
    second = await store.put("/registry/b", b"written by two of three", expected=0)
    await store.close()

    await asyncio.to_thread(compose, "down", "-t", "1")
    await asyncio.to_thread(compose, "up", "-d")

    store = await open_store(compose.options)
    assert (await store.list("/registry/")).entries == [first, second]
    await store.close()
