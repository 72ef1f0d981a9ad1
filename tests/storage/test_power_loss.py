"""The power goes at any moment and takes with it whatever was not synced: what was acknowledged is there."""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from apiserver.storage import open_store
from tests.storage.lossy_disk import STRACE, Call, LossyDisk, calls_of
from tests.storage.test_sqlite_crash import Acknowledged, check
from tests.storage.write_storm import REPOSITORY

LOSSES = 1000


class Recording(NamedTuple):
    """Every call of a run of the real store on files in `folder`."""

    folder: Path
    calls: list[Call]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    strace = shutil.which("strace") or pytest.skip("no strace on this machine to record what the store does")
    folder, trace = tmp_path_factory.mktemp("real"), tmp_path_factory.mktemp("trace") / "calls"
    command = [strace, *STRACE, "-o", str(trace), sys.executable, "-m", "tests.storage.recorded_run"]
    subprocess.run([*command, f"sqlite:{folder}/store.db"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
    return Recording(folder, list(calls_of(trace)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Path]:
    """Where stores are opened again a thousand times: in memory if possible, as nothing here tests this disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


def acknowledged(calls: list[Call]) -> list[Acknowledged]:
    lines = [call.data.decode().split() for call in calls if call.verb == "said"]
    return [Acknowledged(key, int(revision), value) for key, revision, value in lines]


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


async def survives(folder: Path, files: dict[str, bytes], promised: list[Acknowledged]) -> None:
    """A store on these files keeps every promise; raises whatever shows that it does not."""
    lay_out(folder, files)
    store = await open_store(f"sqlite:{folder}/store.db")
    try:
        if promised:
            await check(store, promised)
        newest = max((ack.revision for ack in promised), default=0)
        assert (await store.put("/registry/next", b"x", expected=0)).revision > newest
    finally:
        await store.close()
        shutil.rmtree(folder)


async def broken_by(calls: list[Call], real: Path, losses: int, bench: Path) -> dict[int, str]:
    """The seeds whose power loss broke a promise, and how; up to the third."""
    chance = random.Random(7)
    moments = sorted((chance.randrange(len(calls)), seed) for seed in range(losses))
    disk, played, broken = LossyDisk(real), 0, dict[int, str]()
    for moment, seed in moments:
        for call in calls[played:moment]:
            disk.play(call)
        played = moment
        files = disk.after_power_loss(random.Random(seed))
        try:
            async with asyncio.timeout(3):
                await survives(bench / f"loss-{seed}", files, acknowledged(calls[:moment]))
        except Exception as error:  # a torn database shows itself in many ways
            broken[seed] = repr(error)
            if len(broken) == 3:
                break
    return broken


def test_the_recording_is_complete(recording: Recording) -> None:
    disk = LossyDisk(recording.folder)
    for call in recording.calls:
        disk.play(call)

    assert disk.intact() == {"store.db": (recording.folder / "store.db").read_bytes()}
    assert len(acknowledged(recording.calls)) > 500


async def test_a_thousand_power_losses_take_nothing_that_was_acknowledged(recording: Recording, bench: Path) -> None:
    assert await broken_by(recording.calls, recording.folder, LOSSES, bench) == {}


@pytest.mark.parametrize("forgotten", ["store.db-wal", "store.db"])
async def test_a_store_that_forgot_to_sync_would_be_found_out(
    recording: Recording, bench: Path, forgotten: str
) -> None:
    careless = [call for call in recording.calls if call.verb != "sync" or not call.path.endswith(forgotten)]

    assert len(await broken_by(careless, recording.folder, LOSSES // 10, bench)) == 3
