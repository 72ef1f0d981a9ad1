"""Which processes a cluster has, how they are kept running, and that nobody else's is ever signalled."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from wherry.cluster.layout import Layout, layout_of
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import NodeSettings, Settings, load_settings
from wherry.cluster.starting import node_names
from wherry.cluster.supervision.child import Child
from wherry.cluster.supervision.forking import Forkery
from wherry.cluster.supervision.logs import MOST_BYTES, keep_small, last_lines, open_log
from wherry.cluster.supervision.process_id import ProcessId, identify
from wherry.cluster.supervision.processes import Process, processes_of
from wherry.sim.virtual_time import in_virtual_time


def test_everything_starts_after_what_it_needs(tmp_path: Path) -> None:
    settings = Settings(port=6443, nodes=(NodeSettings("vm", 10250),), fake_nodes=2, pod_cidr="10.244.0.0/16")

    stages = {process.name: process.stage for process in processes_of(Layout("wherry", tmp_path), settings)}

    assert stages == {
        "apiserver": 1,
        "controllers": 2,
        "scheduler": 2,
        "kubelet-vm": 2,
        "kubeproxy": 2,
        "fake-nodes": 2,
    }


def test_without_nodes_there_is_no_proxy(tmp_path: Path) -> None:
    names = [process.name for process in processes_of(Layout("wherry", tmp_path), Settings(port=6443))]

    assert names == ["apiserver", "controllers", "scheduler"]


async def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    changed = asyncio.Event()
    child = Child(
        Process("brief", ("/bin/true",), 1),
        tmp_path / "brief.log",
        Forkery(tmp_path / "forks.log", "wherry"),
        changed.set,
    )
    keeping = asyncio.create_task(child.keep_running())

    while child.report.starts < 3:
        changed.clear()
        await changed.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await child.stop(1)

    assert len([line for line in last_lines(tmp_path / "brief.log", 20) if line.endswith("brief ended with 0")]) >= 2


class ThreeSeconds:
    """A component that is killed three seconds after each start; what a child asks of where it is forked."""

    pid = os.getpid()

    def __init__(self) -> None:
        self.starts: list[float] = []

    async def start(self, *_: object) -> "ThreeSeconds":
        self.starts.append(asyncio.get_running_loop().time())
        return self

    async def wait(self) -> int:
        await asyncio.sleep(3)
        return -signal.SIGKILL


@in_virtual_time
async def test_a_component_that_served_is_started_at_once_however_often_it_is_killed(tmp_path: Path) -> None:
    killed = ThreeSeconds()
    child = Child(
        Process("killed", (sys.executable, "-P", "-m", "web"), 1),
        tmp_path / "log",
        cast("Forkery", killed),
        lambda: None,
    )

    keeping = asyncio.create_task(child.keep_running())
    await asyncio.sleep(60)
    keeping.cancel()

    pauses = [after - before - 3 for before, after in itertools.pairwise(killed.starts)]
    assert len(pauses) > 15
    assert max(pauses) <= 0.1


async def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    deaf = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(fifo)!r}, 'w').close(); time.sleep(60)"
    child = Child(
        Process("deaf", (sys.executable, "-c", deaf), 1),
        tmp_path / "deaf.log",
        Forkery(tmp_path / "forks.log", "wherry"),
        lambda: None,
    )
    keeping = asyncio.create_task(child.keep_running())
    await asyncio.to_thread(fifo.read_bytes)

    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await child.stop(0.1)

    assert child.report.exit_code == -signal.SIGKILL


def test_a_pid_that_went_to_somebody_else_is_not_signalled() -> None:
    with subprocess.Popen(("sleep", "60")) as somebody:
        recycled = ProcessId(somebody.pid, "another-boot/1")

        recycled.signal(signal.SIGKILL)

        assert not recycled.is_alive
        assert identify(somebody.pid).is_alive
        somebody.kill()


def test_a_process_that_ended_is_not_alive() -> None:
    ended = subprocess.Popen(("true",))
    process = identify(ended.pid)
    ended.wait()

    assert not process.is_alive


def test_a_large_log_is_cut_and_its_end_kept_and_both_stay_closed_to_others(tmp_path: Path) -> None:
    log, rest = tmp_path / "talker.log", tmp_path / "talker.log.1"
    with open_log(log) as file:
        file.write(b"x" * MOST_BYTES + b"\nlast words\n")

    keep_small(tmp_path)

    assert (log.read_text(), last_lines(rest, 1)) == ("", ["last words"])
    assert [path.stat().st_mode & 0o777 for path in (log, rest)] == [0o600, 0o600]


def test_a_supervisor_that_is_not_told_to_begin_ends_and_leaves_nothing_but_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "wherry.cluster.supervision.supervisor", "--name", "x", "--data-dir", tmp_path)
    (tmp_path / "logs").mkdir()

    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert [path.name for path in tmp_path.rglob("*")] == ["logs", "supervisor.log"]


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    layout = Layout("wherry", tmp_path)
    settings = Settings(port=6443, name="wherry", nodes=(NodeSettings("vm", 10250),), fake_nodes=2)

    settings.save(layout)

    assert load_settings(layout) == settings


def test_settings_that_make_no_sense_are_named(tmp_path: Path) -> None:
    layout = Layout("wherry", tmp_path)
    layout.settings_file.write_text('{"port": "six"}')

    with pytest.raises(ClusterProblem, match=r"cluster\.json: not the settings of a cluster: .*port"):
        load_settings(layout)


@pytest.mark.parametrize("name", ["", "Web", "-a", "a_b", "x" * 33, "../etc"])
def test_a_cluster_has_a_name_that_fits_everywhere(name: str) -> None:
    with pytest.raises(ClusterProblem, match="--name"):
        layout_of(name)


def test_nodes_of_several_clusters_and_several_nodes_have_different_names(tmp_path: Path) -> None:
    first, second = Layout("wherry", tmp_path), Layout("blue", tmp_path)
    names = [*node_names(first, 2), *node_names(second, 2)]

    assert len(set(names)) == 4


@pytest.mark.parametrize("had", [("lab", "lab-2"), ("lab-1", "lab-2")])
def test_nodes_that_stay_keep_their_names_whatever_their_number_was_and_is(
    tmp_path: Path, had: tuple[str, ...]
) -> None:
    layout = Layout("wherry", tmp_path)
    before = [NodeSettings(name, 10250) for name in had]

    assert node_names(layout, 1, before) == had[:1]
    assert node_names(layout, 2, before) == had
    assert node_names(layout, 3, before)[:2] == had
    assert len(set(node_names(layout, 4, before))) == 4
    assert node_names(layout, 2)[0] == node_names(layout, 1)[0]
