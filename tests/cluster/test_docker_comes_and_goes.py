"""A Docker daemon that `up` started ends with the last cluster; what is asked after that still works."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cluster.fake_engine import OURS, FakeEngine

from wherry.cli.main import main
from wherry.cluster import starting, stopping
from wherry.cluster.layout import Layout
from wherry.cluster.machine import docker_engine, network
from wherry.cluster.machine.network import have_network
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import NodeSettings, Settings
from wherry.cluster.supervision.process_id import identify


class Machine:
    """A machine whose Docker is a fake: `daemon` is a process like any other, and its end is Docker's."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout("lab", folder / "lab")
        self.engine = FakeEngine(labels=(OURS,))
        self.pid_file = folder / "docker.pid"
        self.starts = 0
        self.start()

    def connect(self) -> FakeEngine:
        if self.daemon.poll() is not None or not identify(self.daemon.pid).is_alive:
            raise ClusterProblem("no Docker daemon answers")
        return self.engine

    def start(self, *_: Any) -> None:
        self.starts += 1
        self.daemon = subprocess.Popen(("sleep", "60"))
        self.pid_file.write_text(str(self.daemon.pid))

    def goes_down(self) -> None:
        self.daemon.kill()
        self.daemon.wait()

    def has_cluster(self) -> None:
        """As an `up` leaves it that was crashed."""
        self.layout.make()
        node = NodeSettings("n1", 10250)
        Settings(port=6443, nodes=(node,), kubeconfig=str(self.layout.data_dir / "none")).save(self.layout)
        have_network(self.engine, self.layout)

    def wherry(self, *words: str) -> Result:
        where = ("--name", self.layout.name, "--data-dir", str(self.layout.data_dir))
        return CliRunner().invoke(main, [words[0], *where, *words[1:]])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    monkeypatch.setattr(docker_engine, "_PID_FILE", machine.pid_file)
    for module in (docker_engine, stopping, starting):
        monkeypatch.setattr(module, "connect", machine.connect)
    monkeypatch.setattr(docker_engine, "_start", machine.start)
    monkeypatch.setattr(docker_engine, "_is_ours_to_start", lambda: True)
    monkeypatch.setattr(docker_engine.shutil, "which", lambda *_, **__: "/usr/bin/true")
    monkeypatch.setattr(stopping, "kubeproxy_cleanup", lambda *_: ("true",))
    monkeypatch.setattr(network, "_routed", lambda: iter(()))
    yield machine
    machine.goes_down()


def test_a_cluster_that_was_taken_down_is_purged_without_docker(machine: Machine) -> None:
    machine.has_cluster()

    results = [machine.wherry("down"), machine.wherry("down"), machine.wherry("down", "--purge")]

    assert [result.exit_code for result in results] == [0, 0, 0], [result.output for result in results]
    assert machine.daemon.wait() == -signal.SIGTERM  # `up` had started it
    assert machine.starts == 1
    assert not machine.layout.data_dir.exists()


def test_files_that_only_a_container_may_remove_are_told_of_and_stay_until_then(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_cluster()
    machine.wherry("down")
    assert machine.daemon.wait() == -signal.SIGTERM
    monkeypatch.setattr(stopping, "_holds_files_of_others", lambda _: True)
    monkeypatch.setattr(docker_engine, "_is_ours_to_start", lambda: False)

    result = machine.wherry("down", "--purge")

    told = f"Containers of cluster lab wrote files in {machine.layout.nodes} that only a container may remove: start it"
    assert told in result.output
    assert (result.exit_code, machine.layout.settings_file.exists()) == (1, True)


def test_where_docker_still_has_something_it_is_started_as_by_up_and_ended_again(machine: Machine) -> None:
    machine.has_cluster()
    machine.goes_down()

    result = machine.wherry("down", "--purge")

    assert (result.exit_code, machine.starts, machine.engine.made) == (0, 2, []), result.output
    assert machine.daemon.wait() == -signal.SIGTERM
    assert not machine.layout.data_dir.exists()


def test_a_cluster_that_came_up_again_is_not_taken_for_one_that_has_left_docker(machine: Machine) -> None:
    machine.has_cluster()
    machine.wherry("down")
    assert machine.daemon.wait() == -signal.SIGTERM
    machine.start()
    machine.has_cluster()
    machine.goes_down()

    machine.wherry("down")

    assert machine.engine.made == []


def test_a_daemon_of_another_user_is_left_alone_in_silence(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    machine.has_cluster()
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        result = machine.wherry("down")

    said = f"stopping cluster lab\ngone; its data stays in {machine.layout.data_dir}\n"
    assert (result.exit_code, result.output, machine.daemon.poll()) == (0, said, None)


def test_an_up_that_is_refused_leaves_nothing(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        result = machine.wherry("up", "--port", str(taken.getsockname()[1]))

    assert "another program listens there" in result.output
    assert (result.exit_code, machine.engine.made, machine.layout.data_dir.exists()) == (1, [], False)


def test_an_up_that_fails_halfway_takes_back_what_it_made(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        assert machine.engine.made
        raise ClusterProblem("no port is free")

    monkeypatch.setattr(starting, "_decide", fail)

    result = machine.wherry("up")

    assert "no port is free" in result.output
    assert (result.exit_code, machine.engine.made, machine.layout.data_dir.exists()) == (1, [], False)
    assert machine.daemon.wait() == -signal.SIGTERM


def test_purge_removes_the_network_of_an_up_that_was_killed(machine: Machine) -> None:
    machine.layout.make()
    have_network(machine.engine, machine.layout)

    result = machine.wherry("down", "--purge")

    assert (result.exit_code, machine.engine.made, machine.layout.data_dir.exists()) == (0, [], False)


def test_the_network_of_a_cluster_of_that_name_elsewhere_stays(machine: Machine, tmp_path: Path) -> None:
    have_network(machine.engine, Layout("lab", tmp_path / "elsewhere"))
    machine.layout.make()

    machine.wherry("down", "--purge")

    assert len(machine.engine.made) == 1
