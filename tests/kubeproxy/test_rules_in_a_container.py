"""What a proxy that is not root does by way of a container."""

from ipaddress import IPv4Network

import pytest

from kubeproxy.backends import BackendError, Engine, NftablesBackend, UserspaceBackend, choose_backend
from kubeproxy.backends.container import ContainerNetwork, flows_listed
from kubeproxy.backends.netlink import Flow
from kubeproxy.rules import Rules, Target
from tests.kubeproxy.rules_containers import ENGINE, a_rules_container

PODS, SERVICES = IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16")
NOWHERE = Engine("no-such-container", ENGINE)
LISTED = """\
udp      17 27 src=10.244.0.20 dst=10.96.0.7 sport=4242 dport=53 [UNREPLIED] src=10.244.0.11 dst=10.244.0.20 \
sport=53 dport=4242 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.
"""


async def test_a_container_that_was_named_is_used_unless_told_otherwise():
    by_rules, reason = await choose_backend("auto", "x", PODS, SERVICES, NOWHERE)
    relayed, _ = await choose_backend("userspace", "x", PODS, SERVICES, NOWHERE)

    assert (type(by_rules), type(relayed)) == (NftablesBackend, UserspaceBackend)
    assert reason == "container no-such-container sets the rules"


async def test_a_container_that_is_not_there_is_named_in_the_error():
    a_rules_container()
    network = ContainerNetwork(NOWHERE)
    backend = NftablesBackend("x", PODS, SERVICES, network)

    with pytest.raises(BackendError, match=r"nft in container no-such-container: .*[Nn]o such container"):
        await backend.apply(Rules())
    await backend.close()


async def test_what_a_command_prints_and_how_it_ends_is_told():
    network = ContainerNetwork(Engine(a_rules_container().name, ENGINE))

    assert await network.command("cat", stdin="x" * 300_000) == "x" * 300_000
    with pytest.raises(BackendError, match=r"nft list table ip nobodys: .*No such file"):
        await network.command("nft", "list", "table", "ip", "nobodys")
    network.close()


def test_the_flows_that_conntrack_lists_are_read_with_the_command_that_deletes_them():
    delete = b"conntrack -D -p udp -s 10.244.0.20 --sport 4242 -d 10.96.0.7 --dport 53"

    assert list(flows_listed(LISTED)) == [Flow(Target("10.96.0.7", 53), Target("10.244.0.11", 53), delete)]
