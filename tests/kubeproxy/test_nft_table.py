"""Rules as nftables text: a golden table, and the smallest change from one to the next."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kubeproxy.backends.netlink import Flow
from kubeproxy.backends.nft_table import Surroundings, table_of, transaction
from kubeproxy.backends.nftables import bridge_of, counts, counts_listed, stale_flows
from kubeproxy.rules import Route, Rules, Target

AROUND = Surroundings(IPv4Network("10.244.0.0/16"), IPv4Network("10.244.0.0/24"), IPv4Network("10.96.0.0/16"))
ONE, TWO, AWAY = Target("10.244.0.5", 8080), Target("10.244.0.6", 8080), Target("10.244.1.7", 8080)
WEB = Route("shop/web", "http", "TCP", 80, ("10.96.0.7",), node_port=30080, everywhere=(ONE, TWO))
NAMES = Route(
    "shop/names", "", "UDP", 53, ("10.96.0.8",), everywhere=(ONE, AWAY), here=(ONE,), external_is_local=True,
    node_port=30053, affinity_seconds=60,
)  # fmt: skip
EMPTY = Route("shop/empty", "http", "TCP", 80, ("10.96.0.9",), node_port=30081)
# The kernel's table starts so; a transaction says "" when there is nothing to do.
GOLDEN = Path(__file__).with_name("golden.nft")


def change(before: Rules, after: Rules) -> list[str]:
    return transaction("wherry-x", table_of(before, AROUND), table_of(after, AROUND)).splitlines()


def test_the_whole_table_is_as_recorded():
    text = transaction("wherry-x", None, table_of(Rules((EMPTY, NAMES, WEB)), AROUND))

    assert text == GOLDEN.read_text()


def test_the_same_rules_need_no_transaction():
    assert change(Rules((WEB, NAMES)), Rules((WEB, NAMES))) == []


def test_a_changed_target_touches_its_own_chain_only():
    assert change(Rules((EMPTY, WEB)), Rules((EMPTY, replace(WEB, everywhere=(TWO,))))) == [
        "flush chain ip wherry-x everywhere/shop/web/tcp/http",
        "delete element ip wherry-x hairpin { 10.244.0.5 . 10.244.0.5 }",
        "add rule ip wherry-x everywhere/shop/web/tcp/http meta l4proto tcp dnat ip to 10.244.0.6:8080",
    ]


def test_a_service_that_loses_its_last_target_is_refused_from_the_same_moment():
    assert change(Rules((replace(WEB, everywhere=(ONE,)),)), Rules((replace(WEB, everywhere=()),))) == [
        "flush chain ip wherry-x everywhere/shop/web/tcp/http",
        "delete element ip wherry-x services { 10.96.0.7 . tcp . 80 }",
        "delete element ip wherry-x node-ports { tcp . 30080 }",
        "add element ip wherry-x refused { 10.96.0.7 . tcp . 80 : goto refuse }",
        "add element ip wherry-x refused-ports { tcp . 30080 : goto refuse }",
        "delete element ip wherry-x hairpin { 10.244.0.5 . 10.244.0.5 }",
        "delete chain ip wherry-x everywhere/shop/web/tcp/http",
    ]


def test_where_the_kernel_sees_bridged_frames_clients_keep_their_address():
    hidden = "ct status dnat ip saddr 10.244.0.0/24 ip daddr 10.244.0.0/24 masquerade"

    assert hidden in table_of(Rules(), AROUND).chains["postrouting"]
    assert hidden not in table_of(Rules(), replace(AROUND, sees_bridged=True)).chains["postrouting"]


def test_a_name_that_is_no_name_never_becomes_a_command():
    hostile = replace(WEB, port_name="x; flush ruleset")

    with pytest.raises(ValueError, match="not a name that Kubernetes allows"):
        table_of(Rules((hostile,)), AROUND)


def test_counting_leaves_out_what_clients_add():
    table = table_of(Rules((NAMES,)), AROUND)
    listing = {
        "nftables": [
            {"metainfo": {}},
            {"rule": {"chain": "a"}},
            {"rule": {"chain": "a"}},
            {"map": {"name": "services", "elem": [1]}},
            {"set": {"name": "clients/shop/names", "elem": [1, 2]}},
        ]
    }

    assert counts(table)["set services"] == 1
    assert counts_listed(listing) == {"chain a": 2, "set services": 1}


def test_the_bridge_is_the_interface_that_leads_to_pods():
    routes = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""

    assert bridge_of(AROUND.pods, routes) == ("br-1", AROUND.pods)
    assert bridge_of(IPv4Network("10.9.0.0/16"), routes) == ("", IPv4Network("10.9.0.0/16"))


def test_udp_flows_to_gone_targets_are_stale_and_no_others():
    names = replace(NAMES, everywhere=(ONE, TWO), here=())
    is_stale = stale_flows(Rules((names,)), Rules((replace(names, everywhere=(TWO,)),)))

    assert is_stale is not None
    assert is_stale(Flow(Target("10.96.0.8", 53), ONE, b""))
    assert is_stale(Flow(Target("192.0.2.1", 30053), ONE, b""))
    assert not is_stale(Flow(Target("10.96.0.8", 53), TWO, b""))
    assert not is_stale(Flow(Target("192.0.2.9", 30053), Target("192.0.2.9", 30053), b""))
    assert not is_stale(Flow(Target("10.96.0.10", 53), ONE, b""))


def test_tcp_changes_leave_no_stale_flows():
    assert stale_flows(Rules((WEB,)), Rules()) is None
