"""Topology aware routing: which endpoints are for which zone."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import a_condition, a_node

from controllers.parts.zone_shares import OVERLOAD, hinted, shares_of
from wherry.api.discovery.endpoint_slice import Endpoint, EndpointConditions

HALVES = {"a": Fraction(1, 2), "b": Fraction(1, 2)}


def a_zones_node(zone="", cpu="4", ready=True, **labels):
    labels |= {"topology.kubernetes.io/zone": zone} if zone else {}
    status = {"allocatable": {"cpu": cpu}, "conditions": [a_condition("Ready", ready)]}
    return a_node(labels=labels, status=status)


def endpoints(zones, ready=True):
    return [Endpoint(zone=zone, conditions=EndpointConditions(ready=ready)) for zone in zones]


def zones_of(found):
    return "".join(one.hints.for_zones[0].name if one.hints else "-" for one in found)


def test_shares_go_by_the_processors_of_ready_nodes_that_run_pods():
    nodes = [
        a_zones_node("a", "2"),
        a_zones_node("a", "1"),
        a_zones_node("b", "1"),
        a_zones_node("b", "8", ready=False),
    ]
    nodes.append(a_zones_node("b", "8", **{"node-role.kubernetes.io/control-plane": ""}))

    assert shares_of(nodes) == {"a": Fraction(3, 4), "b": Fraction(1, 4)}


@pytest.mark.parametrize("more", [a_zones_node(), a_zones_node("c", "0")], ids=["no zone", "no processor"])
def test_what_is_not_known_of_one_node_makes_all_shares_unknown(more):
    assert shares_of([a_zones_node("a"), a_zones_node("b"), more]) == {}
    assert shares_of([a_zones_node("a"), a_zones_node("a")]) == {}


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("aabb", "aabb"),
        ("aaaaaaaabbbb", "aaaaaaabbbbb"),  # b must bear no more than a fifth above its share
        ("ab", "ab"),
        ("aaa", "---"),  # two each at least would be four
        ("abc", "---"),  # nobody knows the zone c
        ("a", "-"),
    ],
)
def test_endpoints_are_for_their_own_zone_unless_another_has_too_few(present, wanted):
    assert zones_of(hinted(endpoints(present), HALVES)) == wanted


def test_endpoints_that_are_not_ready_get_none_and_do_not_count():
    found = hinted([*endpoints("ab"), *endpoints("aaa", ready=False)], HALVES)

    assert zones_of(found) == "ab---"


@given(st.lists(st.sampled_from("abc"), max_size=30), st.tuples(*[st.integers(1, 9)] * 3))
def test_no_zone_bears_more_than_a_fifth_above_its_share(present, cpus):
    shares = {zone: Fraction(cpu, sum(cpus)) for zone, cpu in zip("abc", cpus, strict=True)}
    found = zones_of(hinted(endpoints(present), shares))

    if "-" not in found:
        assert all(found.count(zone) * (1 + OVERLOAD) >= shares[zone] * len(present) for zone in shares)
