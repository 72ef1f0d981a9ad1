"""What only the kernel's rules can do, with real packets in namespaces: see `machine.py` for the map."""

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kubeproxy.backends import BackendError, NftablesBackend
from kubeproxy.backends.container import ContainerNetwork
from kubeproxy.backends.network import Network
from kubeproxy.rules import Frontend, Route, Rules, Target
from tests.kubeproxy.machine import GATEWAY, MACHINE, OUTSIDER, PODS
from tests.kubeproxy.places import NONE, PODS_CIDR, SERVICES_CIDR, NetworkPlace, open_place

WEB_1, WEB_2 = Target(PODS["web-1"], 8080), Target(PODS["web-2"], 8080)
WEB = Route("shop/web", "http", "TCP", 80, cluster_ips=("10.96.0.7",), node_port=30080, everywhere=(WEB_1,))
CLUSTER_IP = Frontend("10.96.0.7", "TCP", 80)


@pytest.fixture(params=["nftables", "nftables-bridged", "container-bridged"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[NetworkPlace]:
    async with open_place(request.param) as place:
        assert isinstance(place, NetworkPlace)
        yield place


def nft(place: NetworkPlace, *words: str) -> str:
    command = ["ip", "netns", "exec", place.machine.networks["machine"].name, "nft", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_a_pod_reaches_itself_through_its_service(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))

    assert (await place.ask_from("web-1", CLUSTER_IP)).split()[0] == "web-1"


async def test_the_machine_reaches_a_cluster_ip(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))

    assert await place.ask_from("machine", CLUSTER_IP) == f"web-1 {MACHINE}"


async def test_a_node_port_answers_on_the_machines_own_loopback(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))

    assert await place.ask_from("machine", Frontend("127.0.0.1", "TCP", 30080)) == f"web-1 {GATEWAY}"


async def test_a_client_outside_keeps_its_address_through_a_node_port(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))

    assert await place.ask_from("outsider", Frontend(MACHINE, "TCP", 30080)) == f"web-1 {OUTSIDER}"


async def test_an_external_ip_answers(place: NetworkPlace):
    await place.backend.apply(Rules((replace(WEB, external_ips=("198.51.100.7",)),)))

    assert await place.ask_from("outsider", Frontend("198.51.100.7", "TCP", 80)) == f"web-1 {OUTSIDER}"


async def test_pods_reach_an_endpoint_on_the_machine_itself(place: NetworkPlace):
    await place.machine.serve("machine", GATEWAY, 6443)
    await place.backend.apply(Rules((replace(WEB, everywhere=(Target(GATEWAY, 6443),)),)))

    assert await place.ask_from("client", CLUSTER_IP) == f"machine {PODS['client']}"
    assert (await place.ask_from("machine", CLUSTER_IP)).split()[0] == "machine"


async def test_a_target_elsewhere_sees_the_machine_so_that_its_answer_comes_back(place: NetworkPlace):
    await place.machine.serve("outsider", OUTSIDER, 8080)
    await place.backend.apply(Rules((replace(WEB, everywhere=(Target(OUTSIDER, 8080),)),)))

    assert await place.ask_from("outsider", Frontend(MACHINE, "TCP", 30080)) == f"outsider {MACHINE}"


async def test_with_a_local_policy_outsiders_reach_only_targets_here(place: NetworkPlace):
    local = replace(WEB, everywhere=(WEB_1, WEB_2), here=(WEB_2,), external_is_local=True)
    await place.backend.apply(Rules((local,)))

    outside = {await place.ask_from("outsider", Frontend(MACHINE, "TCP", 30080)) for _ in range(8)}
    inside = {(await place.ask_from("client", Frontend(MACHINE, "TCP", 30080))).split()[0] for _ in range(20)}

    assert outside == {f"web-2 {OUTSIDER}"}
    assert inside == {"web-1", "web-2"}


async def test_with_a_local_policy_and_no_target_here_there_is_silence(place: NetworkPlace):
    await place.backend.apply(Rules((replace(WEB, internal_is_local=True),)))

    with pytest.raises(TimeoutError):
        await place.ask(CLUSTER_IP)


async def test_an_address_without_a_service_is_refused(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))

    assert await place.ask(Frontend("10.96.99.99", "TCP", 80)) == NONE
    assert await place.ask(Frontend("10.96.0.7", "TCP", 81)) == NONE


@pytest.mark.parametrize(
    "damage",
    [
        ("delete", "table", "ip", "wherry-contract"),
        ("flush", "table", "ip", "wherry-contract"),
        ("flush", "ruleset"),
        ("flush", "map", "ip", "wherry-contract", "services"),
        ("flush", "chain", "ip", "wherry-contract", "prerouting"),
    ],
)
async def test_rules_flushed_by_hand_are_put_back(place: NetworkPlace, damage: tuple[str, ...]):
    await place.backend.apply(Rules((WEB,)))
    nft(place, *damage)

    assert await place.backend.repair()
    assert await place.ask(CLUSTER_IP) == "web-1"
    assert not await place.backend.repair()


async def test_others_may_change_their_own_rules_without_a_repair(place: NetworkPlace):
    await place.backend.apply(Rules((WEB, replace(WEB, service="shop/b", cluster_ips=("10.96.0.8",), node_port=0))))
    nft(place, "add", "table", "ip", "somebody")

    assert not await place.backend.repair()


async def test_a_change_after_a_flush_by_hand_puts_everything_back(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))
    nft(place, "flush", "ruleset")

    await place.backend.apply(Rules((replace(WEB, everywhere=(WEB_2,)),)))

    assert await place.ask(CLUSTER_IP) == "web-2"


async def test_connections_outlive_the_loss_and_repair_of_the_table(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))
    async with place.connection(CLUSTER_IP) as ask_again:
        assert await ask_again() == "web-1"
        nft(place, "flush", "ruleset")
        await place.backend.repair()

        assert await ask_again() == "web-1"


async def test_a_udp_client_that_never_pauses_is_led_away_from_a_target_that_is_gone(place: NetworkPlace):
    if isinstance(place.backend._network, ContainerNetwork) and not shutil.which("conntrack"):
        pytest.skip("without netlink this takes `conntrack`")
    names = replace(WEB, protocol="UDP", port=53, node_port=30053)
    await place.backend.apply(Rules((names,)))
    async with place.connection(Frontend("10.96.0.7", "UDP", 53)) as ask_again:
        assert await ask_again() == "web-1"
        await place.backend.apply(Rules((replace(names, everywhere=(WEB_2,)),)))

        assert await ask_again() == "web-2"


async def test_clear_leaves_no_table(place: NetworkPlace):
    await place.backend.apply(Rules((WEB,)))
    await place.backend.clear()

    assert "wherry" not in nft(place, "list", "tables")


async def test_what_nft_says_is_in_the_error():
    backend = NftablesBackend("contract", PODS_CIDR, SERVICES_CIDR, Network("no-such-namespace"))

    with pytest.raises(BackendError, match=r"table wherry-contract: nft .*no-such-namespace"):
        await backend.apply(Rules((WEB,)))


class WithoutNetlink(Network):
    """A network whose kernel does not tell of flows."""

    def socket(self, family: int, type: int, protocol: int = 0) -> socket.socket:
        raise OSError("no netlink here")


async def test_a_kernel_that_tells_of_no_flows_still_gets_its_rules(place: NetworkPlace):
    names = replace(WEB, protocol="UDP", port=53, node_port=0)
    network = WithoutNetlink(place.machine.networks["machine"].name)
    backend = NftablesBackend("contract", PODS_CIDR, SERVICES_CIDR, network)

    await backend.apply(Rules((names,)))

    assert "everywhere/shop/web/udp/http" in nft(place, "list", "ruleset")
