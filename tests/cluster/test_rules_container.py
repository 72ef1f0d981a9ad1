"""The container that sets service rules for a user who is not root."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker.errors
import pytest
from cluster.live_cluster import engine

from wherry.cluster.layout import Layout
from wherry.cluster.machine import rules_container
from wherry.cluster.machine.network import CLUSTER
from wherry.cluster.machine.rules_container import have_rules_container
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import NodeSettings, Settings
from wherry.cluster.supervision.processes import kubeproxy_cleanup, processes_of


@pytest.fixture
def layout() -> Iterator[Layout]:
    layout = Layout(f"wt-{uuid4().hex[:6]}", Path("/nowhere"))
    yield layout
    for container in engine().containers(all=True, filters={"label": f"{CLUSTER}={layout.name}"}):
        engine().remove_container(container["Id"], force=True)


def started(layout: Layout) -> Any:
    try:
        return engine().inspect_container(have_rules_container(engine(), layout, network="none"))
    except ClusterProblem as problem:
        pytest.skip(str(problem))


def test_it_may_set_rules_and_nothing_else(layout: Layout) -> None:
    host = started(layout)["HostConfig"]

    rights = {key: host[key] for key in ("CapDrop", "CapAdd", "ReadonlyRootfs", "SecurityOpt", "Privileged", "Binds")}
    assert rights == {
        "CapDrop": ["ALL"],
        "CapAdd": ["NET_ADMIN"],
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        "Binds": ["/proc/sys/net/ipv4/conf:/sysctl:rw"],
    }


def test_it_is_found_again_and_started_when_somebody_stopped_or_removed_it(layout: Layout) -> None:
    before = started(layout)
    engine().kill(before["Id"])
    assert started(layout)["Id"] == before["Id"]

    engine().remove_container(before["Id"], force=True)
    assert started(layout)["State"]["Running"]


def test_a_container_of_its_name_that_is_not_ours_is_left_alone(layout: Layout) -> None:
    theirs = started(layout)["Id"]

    with pytest.raises(ClusterProblem, match=r"a container '.*-rules' that is not ours"):
        have_rules_container(_Renamed(theirs), layout)


class _Renamed:
    """Docker, with a container of somebody else's under every name."""

    def __init__(self, id: str) -> None:
        self.id = id

    def inspect_container(self, _: str) -> Any:
        return engine().inspect_container(self.id) | {"Config": {"Labels": {CLUSTER: "another"}}}


def test_one_that_cannot_start_is_not_left_behind(layout: Layout) -> None:
    started(layout)
    engine().remove_container(f"{layout.title}-rules", force=True)

    with pytest.raises(ClusterProblem, match=r"Docker cannot run the container .*-rules"):
        have_rules_container(engine(), layout, network="container:nobody-has-this-name")

    assert engine().containers(all=True, filters={"label": f"{CLUSTER}={layout.name}"}) == []


def test_without_nft_it_is_said_what_to_install(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_container, "_FOLDERS", "/nowhere")

    with pytest.raises(ClusterProblem, match=r"there is no `nft` on this machine .*apt install nftables iproute2"):
        have_rules_container(_Empty(), layout)


class _Empty:
    """Docker, with nothing in it."""

    def inspect_container(self, _: str) -> Any:
        raise docker.errors.NotFound("404")


def test_the_proxy_and_its_cleanup_are_told_of_it() -> None:
    layout = Layout("lab", Path("/data"))
    settings = Settings(
        port=1, nodes=(NodeSettings("n", 2),), rules_container="wherry-lab-rules", docker_host="unix:///d"
    )

    proxy = next(process for process in processes_of(layout, settings) if process.name == "kubeproxy")

    told = ("--rules-container", "wherry-lab-rules", "--docker-host", "unix:///d")
    assert proxy.command[-4:] == told
    assert kubeproxy_cleanup(layout, settings)[-4:] == told
