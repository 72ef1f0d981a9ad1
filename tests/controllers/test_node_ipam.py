"""Ranges of addresses for the pods of each node."""

import ipaddress

import pytest
from make import a_node

from controllers.nodes.node_ipam import RETRY_SECONDS, Ranges, allocated
from wherry.api.core.node import Node
from wherry.client.plan import CheckAgain, Event, Update
from wherry.client.world import World


def ranges(cidr: str = "10.244.0.0/16", mask: int = 24) -> Ranges:
    return Ranges(ipaddress.ip_network(cidr), mask)


def gets(node: Node, cidr: str) -> list:
    return [Update(node, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})]


def with_range(name: str, cidr: str) -> Node:
    return a_node(name, spec={"podCIDR": cidr, "podCIDRs": [cidr]})


def test_a_node_gets_the_first_range_that_nobody_has():
    node = a_node("new")
    world = World(
        node, with_range("a", "10.244.0.0/24"), with_range("b", "10.244.2.0/23"), with_range("c", "fd00::/64")
    )

    assert list(allocated(node, world, ranges())) == gets(node, "10.244.1.0/24")


def test_two_nodes_get_two_ranges_even_before_either_is_seen():
    one, other, given = a_node("one"), a_node("other"), ranges()
    world = World(one, other)

    assert list(allocated(one, world, given)) == gets(one, "10.244.0.0/24")
    assert list(allocated(other, world, given)) == gets(other, "10.244.1.0/24")
    assert list(allocated(one, world, given)) == gets(one, "10.244.0.0/24")


def test_the_range_of_a_node_that_is_gone_is_given_again():
    one, other, given = a_node("one"), a_node("other"), ranges()
    list(allocated(one, World(one), given))

    assert list(allocated(other, World(other), given)) == gets(other, "10.244.0.0/24")


def test_a_range_is_for_life():
    node = with_range("a", "192.168.0.0/24")

    assert list(allocated(node, World(node), ranges())) == []


def test_a_node_too_many_is_told_so():
    node = a_node("late")
    world = World(node, with_range("a", "10.244.0.0/24"), with_range("b", "10.244.1.0/24"))

    told = Event(node, "CIDRNotAvailable", "Node late status is now: CIDRNotAvailable")
    assert list(allocated(node, world, ranges("10.244.0.0/23"))) == [told, CheckAgain(RETRY_SECONDS)]


@pytest.mark.parametrize(("cidr", "mask"), [("10.0.0.0/16", 15), ("10.0.0.0/8", 30), ("10.0.0.0/24", 33)])
def test_a_mask_that_does_not_fit_is_refused(cidr: str, mask: int):
    with pytest.raises(ValueError, match=f"range of /{mask} in {cidr}"):
        ranges(cidr, mask)
