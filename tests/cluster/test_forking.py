"""Components start from a process that has imported what they need; they live and die as any other process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wherry.cluster.supervision.forking import Forkery
from wherry.cluster.supervision.process_id import ProcessId, identify

SERVER = ("http.server", ("0", "--bind", "127.0.0.1"))


@pytest.fixture
async def forkery(tmp_path: Path) -> AsyncIterator[Forkery]:
    forkery = Forkery(tmp_path / "forks.log", "wherry-lab")
    yield forkery
    await forkery.close()


def fork_server_of(pid: int) -> ProcessId:
    return identify(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))


def first_line_of(log: Path) -> str:
    return log.read_text().splitlines()[0]


async def said_by(forkery: Forkery, log: Path, statement: str) -> tuple[int, str]:
    running = await forkery.start("kubelet-of-a-long-name", "timeit", ("-n1", "-r1", statement), log)
    return await running.wait(), first_line_of(log)


async def test_a_module_runs_with_its_options_and_its_output_is_logged(forkery: Forkery, tmp_path: Path):
    assert await said_by(forkery, tmp_path / "log", "import sys; print(sys.argv[1:3])") == (0, "['-n1', '-r1']")


async def test_how_a_module_failed_is_told(forkery: Forkery, tmp_path: Path):
    assert await said_by(forkery, tmp_path / "log", "print('no more'); 1 / 0") == (1, "no more")


async def test_what_was_imported_before_need_not_be_imported_again(forkery: Forkery, tmp_path: Path):
    loaded = "import sys; print('kubelet.runner' in sys.modules)"

    assert await said_by(forkery, tmp_path / "log", loaded) == (0, "True")


@pytest.mark.parametrize(
    ("file", "name"), [("comm", "kubelet-of-a-lo"), ("cmdline", "wherry-lab: kubelet-of-a-long-name\0")]
)
async def test_it_goes_by_its_name(forkery: Forkery, tmp_path: Path, file: str, name: str):
    assert await said_by(forkery, tmp_path / "log", f"print(open('/proc/self/{file}').read())") == (0, name)


async def test_nothing_waits_for_what_only_others_import(forkery: Forkery, tmp_path: Path):
    log, order = tmp_path / "log", []

    async def start(module: str) -> None:
        running = await forkery.start(module, module, ("--help",), log)
        order.append(module)
        await running.wait()

    await asyncio.gather(start("kubeproxy"), start("kubelet"))

    assert order == ["kubelet", "kubeproxy"]


async def test_a_module_that_is_not_there_is_told(forkery: Forkery, tmp_path: Path):
    running = await forkery.start("nothing", "wherry.nothing", (), tmp_path / "nothing.log")

    assert await running.wait() == 1
    assert "No module named wherry.nothing" in (tmp_path / "nothing.log").read_text()


async def test_signals_reach_the_process_and_its_end_is_told(forkery: Forkery, tmp_path: Path):
    running = await forkery.start("server", *SERVER, tmp_path / "server.log")

    running.send_signal(signal.SIGKILL)

    assert await running.wait() == -signal.SIGKILL


async def test_with_its_fork_server_a_process_ends_and_the_next_start_has_another(forkery: Forkery, tmp_path: Path):
    first = await forkery.start("server", *SERVER, tmp_path / "server.log")
    orphan, server = identify(first.pid), fork_server_of(first.pid)

    os.kill(server.pid, signal.SIGKILL)
    second = await forkery.start("server", *SERVER, tmp_path / "server.log") if await first.wait() else first

    assert orphan.ends_within(5)
    assert fork_server_of(second.pid) != server
