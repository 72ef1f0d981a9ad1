"""Gangs whose pods want named devices, compared with trying everything: all of theirs or nothing, and nothing twice."""

from itertools import combinations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from make import a_container, a_node, a_pod, an_object
from scheduling import all_plugins
from test_devices import a_class, a_request

from scheduler.explaining.gangs import Thought
from scheduler.explaining.picture import Objects, Picture
from scheduler.gangs.plan import assemble
from scheduler.pods import PodView
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import DRIVER, GRANTED, MEMORY, RESOURCE, Gpu, slice_manifest
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice

GI = 1024**3
BIG = f'device.capacity["{DRIVER}"].memory.compareTo(quantity("8Gi")) >= 0'


def a_slice(node, sizes):
    """The cards of a node, by how many GiB each has."""
    gpus = [Gpu(f"GPU-{node}-{n}", f"gpu-{n}", memory_bytes=size * GI) for n, size in enumerate(sizes)]
    return ResourceSlice.read(slice_manifest(node, node, gpus, 1))


def member(index, want):
    """A pod that counts cards, wants a part of one, or claims some: `("cards", 1)`, `("part", 4)`, `("claim", 0)`."""
    kind, what = want
    if kind == "claim":
        use = {"name": "cards", "resourceClaimName": f"claim-{what}"}
        return a_pod(f"p{index}", uid=f"p{index}", resource_claims=[use])
    resource, amount = (RESOURCE, what) if kind == "cards" else (MEMORY, f"{what}Gi")
    return a_pod(f"p{index}", uid=f"p{index}", containers=[a_container(requests={resource: str(amount)})])


def a_cluster(nodes, wants, claims, busy=()):
    """`nodes`: how many pods each takes, and the sizes of its cards; of the first one's those in `busy` are taken."""
    free = [{RESOURCE: str(len(sizes)), "pods": str(most)} for most, sizes in nodes]
    record = {GRANTED: ",".join(f"GPU-n0-{index}" for index in busy)}
    cards = [a_container(requests={RESOURCE: str(len(busy))})]
    there = [a_pod("there", node="n0", annotations=record, containers=cards)] if busy else []
    spec = [{"devices": {"requests": [a_request("r", *([BIG] if big else []), count=n)]}} for n, big in claims]
    objects = {
        Node: [a_node(f"n{index}", allocatable=amounts) for index, amounts in enumerate(free)],
        Pod: [*there, *(member(index, want) for index, want in enumerate(wants))],
        ResourceSlice: [a_slice(f"n{index}", sizes) for index, (_, sizes) in enumerate(nodes)],
        DeviceClass: [a_class()],
        ResourceClaim: [
            an_object("ResourceClaim", f"claim-{index}", api_version="resource.k8s.io/v1", uid=f"c{index}", spec=each)
            for index, each in enumerate(spec)
        ],
    }
    return Picture(Objects(objects), {"default-scheduler": all_plugins()})


def ways(cards, want, claims):
    """All ways to give a pod its devices: what is left of the cards, (node, GiB of it, is whole), and where claims are.

    A claim is (how many, only big ones, the node where it has them or None).
    """
    kind, what = want
    if kind == "claim" and claims[what][2] is not None:
        yield cards, claims, claims[what][2]
        return
    count, big, _ = claims[what] if kind == "claim" else (what, False, None)
    for node in {node for node, _, _ in cards}:
        here = [index for index, (where, _, _) in enumerate(cards) if where == node]
        if kind == "part":
            for index in here:
                if cards[index][1] >= what:
                    left = (node, cards[index][1] - what, False)
                    yield (*cards[:index], left, *cards[index + 1 :]), claims, node
            continue
        fitting = [index for index in here if cards[index][2] and (not big or cards[index][1] >= 8)]
        for chosen in combinations(fitting, count):
            after = tuple((node, 0, False) if index in chosen else card for index, card in enumerate(cards))
            yield after, claims | ({what: (count, big, node)} if kind == "claim" else {}), node


def can_have(cards, wants, claims, needed, places):
    """Whether so many of these can have theirs, found by trying everything; `places` are those left on each node."""
    if not needed or len(wants) < needed:
        return not needed
    for after, then, node in ways(cards, wants[0], claims):
        left = places | {node: places[node] - 1}
        if places[node] and can_have(after, wants[1:], then, needed - 1, left):
            return True
    return can_have(cards, wants[1:], claims, needed, places)


def cards_of(picture):
    """Of each card how many have it, pods and claims; of one in parts how much of it is given out."""
    ledger, inventory = picture.devices.grants.lookup.ledger, picture.devices.grants.lookup.inventory
    for card in (card for node in picture.nodes for card in inventory.local(node)):
        part = 1 - ledger.parts.left(card) / card.memory_bytes
        yield len(ledger.pods_with(card)) + len(ledger.claims_with(card)) + part


KINDS = st.one_of(
    st.tuples(st.just("cards"), st.integers(1, 2)),
    st.tuples(st.just("part"), st.integers(2, 6)),
    st.tuples(st.just("claim"), st.integers(0, 2)),
    st.tuples(st.just("claim"), st.integers(0, 2)),
)
NODE = st.tuples(st.integers(1, 5), st.lists(st.sampled_from((4, 10)), min_size=1, max_size=3))
ANY, BIG_ONE, TWO_BIG = (1, False), (1, True), (2, True)
PARTS = [("part", size) for size in (5, 4, 3, 3, 3, 2)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(NODE, min_size=1, max_size=2),
    st.lists(KINDS, min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(1, 2), st.booleans()), min_size=3, max_size=3),
    st.integers(1, 5),
    st.booleans(),
)
@example([(3, [10, 4])], [("claim", 0), ("claim", 1)], [ANY, BIG_ONE], 2, False)
@example([(3, [10, 4])], [("cards", 1), ("claim", 0)], [BIG_ONE], 2, False)
@example([(9, [10, 10])], PARTS, [], 6, False)
@example([(9, [10]), (9, [10])], PARTS, [], 6, False)
@example([(1, [10]), (3, [10, 10])], [("claim", 0), ("claim", 0)], [ANY], 2, False)
@example([(9, [10]), (9, [4])], [("claim", 0), ("claim", 1)], [ANY, BIG_ONE], 2, False)
@example(
    [(1, [4, 10]), (3, [10, 10, 4])], [("claim", 0), ("claim", 1), ("claim", 2)], [ANY, BIG_ONE, TWO_BIG], 3, False
)
def test_a_gang_gets_its_devices_whenever_that_is_possible_and_none_twice(nodes, wants, claims, needed, is_busy):
    needed, places = (
        min(needed, len(wants)),
        {index: most - (is_busy and not index) for index, (most, _) in enumerate(nodes)},
    )
    picture = a_cluster(nodes, wants, claims, (0,) if is_busy else ())
    pods = [PodView(member(index, want)) for index, want in enumerate(wants)]
    cards = [(node, size, True) for node, (_, sizes) in enumerate(nodes) for size in sizes]
    free = ((0, 0, False), *cards[1:]) if is_busy else tuple(cards)

    found = assemble(pods, needed, board := Thought(picture))

    assert bool(found.places) == can_have(
        free, wants, {n: (*each, None) for n, each in enumerate(claims)}, needed, places
    )
    assert found.places == () or len(found.places) >= needed
    assert sum(cards_of(picture)) == is_busy
    assert all(board.put(place.pod, place.node) for place in found.places)
    assert all(users <= 1 for users in cards_of(picture))
