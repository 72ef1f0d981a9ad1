"""Which addresses a cluster takes beside others."""

import socket

import docker.errors
import pytest
from cluster.fake_engine import FakeEngine

from wherry.cluster.layout import Layout
from wherry.cluster.machine import network
from wherry.cluster.machine.network import Ranges, have_network, remove_network
from wherry.cluster.machine.ports import first_free, is_free
from wherry.cluster.problem import ClusterProblem


@pytest.fixture(autouse=True)
def _no_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_routed", lambda: iter(()))


def layout(name: str, folder: str = "/data") -> Layout:
    from pathlib import Path

    return Layout(name, Path(folder) / name)


def test_clusters_side_by_side_share_no_address() -> None:
    engine = FakeEngine()

    first, second = have_network(engine, layout("wherry")), have_network(engine, layout("blue"))

    assert (first.pod_cidr, first.service_cidr) == ("10.244.0.0/16", "10.96.0.0/16")
    assert (second.pod_cidr, second.service_cidr) == ("10.245.0.0/16", "10.97.0.0/16")


def test_a_cluster_keeps_its_addresses() -> None:
    engine = FakeEngine()
    have_network(engine, layout("wherry"))
    second = have_network(engine, layout("blue"))

    assert have_network(engine, layout("blue")) == second


def test_a_stopped_cluster_takes_the_addresses_that_it_had() -> None:
    had = Ranges("10.250.0.0/16", "10.103.0.0/16")

    found = have_network(FakeEngine(), layout("wherry"), had)

    assert (found.pod_cidr, found.service_cidr) == had


def test_addresses_of_services_are_not_taken_from_another_cluster() -> None:
    engine = FakeEngine()
    first = have_network(engine, layout("wherry"))

    with pytest.raises(ClusterProblem, match=r"addresses in 10.96.0.0/16, .* cluster wherry"):
        have_network(engine, layout("blue"), Ranges(first.pod_cidr, first.service_cidr))


def test_networks_of_others_are_left_alone() -> None:
    theirs = {"Name": "theirs", "Id": "t", "Labels": None, "IPAM": {"Config": [{"Subnet": "10.244.128.0/20"}]}}

    assert have_network(FakeEngine(theirs), layout("wherry")).pod_cidr == "10.245.0.0/16"


def test_a_network_of_our_name_that_is_not_ours_is_refused() -> None:
    theirs = {"Name": "wherry", "Id": "t", "Labels": {}, "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}]}}

    with pytest.raises(ClusterProblem, match="a network 'wherry' that is not ours"):
        have_network(FakeEngine(theirs), layout("wherry"))


def test_a_cluster_of_the_same_name_elsewhere_is_named() -> None:
    engine = FakeEngine()
    have_network(engine, layout("wherry", "/one"))

    with pytest.raises(ClusterProblem, match="with its data in /one/wherry"):
        have_network(engine, layout("wherry", "/two"))


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]

        assert not is_free(port)
        assert first_free(port, taken={port + 1}) > port + 1


class EngineThatHoldsOn(FakeEngine):
    """One that has lost count of what is on its networks, or has another reason not to remove one."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def remove_network(self, name: str) -> None:
        raise docker.errors.APIError("403", explanation=self.why)


def test_a_network_goes_with_its_cluster() -> None:
    engine = FakeEngine()
    have_network(engine, layout("wherry"))
    have_network(engine, layout("blue"))

    remove_network(engine, layout("wherry"))

    assert [network["Name"] for network in engine.made] == [layout("blue").title]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("network wherry has active endpoints", r"holds on to the network wherry .*restart Docker"),
        ("permission denied", r"cannot remove the network wherry: permission denied"),
    ],
)
def test_an_engine_that_keeps_a_network_is_told_of(monkeypatch: pytest.MonkeyPatch, why: str, told: str) -> None:
    monkeypatch.setattr(network, "_REMOVAL_SECONDS", -1.0)
    engine = EngineThatHoldsOn(why)
    have_network(engine, layout("wherry"))

    with pytest.raises(ClusterProblem, match=told):
        remove_network(engine, layout("wherry"))
