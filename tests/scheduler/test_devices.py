"""Which cards a pod gets, and which devices a claim: the plain search says the same."""

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import an_object
from scheduling import a_container, a_node, a_view, decide

from scheduler.devices.allocator import allocate, ask_of
from scheduler.devices.inventory import Inventory
from scheduler.devices.ledger import Ledger, pick
from scheduler.devices.selectors import SelectorProblem
from scheduler.pods import PodView
from scheduler.pods.devices import DeviceNeeds
from wherry.api.resource.gpu import DRIVER, PLACEMENT, fake_gpus, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice

GROUP = "resource.k8s.io/v1"


def an_inventory(*slices):
    inventory = Inventory()
    for each in slices:
        inventory.set_slice(None, each)
    return inventory


def a_slice(node, *devices, generation=1, count=1, name="", shared=()):
    pool = {"name": node, "generation": generation, "resourceSliceCount": count}
    spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": list(devices), "sharedCounters": list(shared)}
    return an_object("ResourceSlice", name or node, api_version=GROUP, spec=spec)


def cards(node, count):
    return an_inventory(ResourceSlice.read(slice_manifest(node, "uid", fake_gpus(node, count), 1))).local(node)


def a_class(name="gpu", expression=f'device.driver == "{DRIVER}"', **spec):
    return an_object(
        "DeviceClass", name, api_version=GROUP, spec={"selectors": [{"cel": {"expression": expression}}], **spec}
    )


def a_request(name="cards", *expressions, count=1, mode="ExactCount", **more):
    selectors = [{"cel": {"expression": text}} for text in expressions]
    number = {"count": count} if mode == "ExactCount" else {}
    return {
        "name": name,
        "exactly": {"deviceClassName": "gpu", "selectors": selectors, "allocationMode": mode, **number, **more},
    }


def a_claim(*requests, constraints=(), name="claim"):
    devices = {"requests": list(requests), "constraints": list(constraints)}
    return an_object("ResourceClaim", name, api_version=GROUP, spec={"devices": devices})


def given_to(claims, devices, is_free=lambda _: True, classes=None, inventory=None):
    known = {each.metadata.name: each for each in ([a_class()] if classes is None else classes)}
    found = allocate([ask_of(claim, known.get) for claim in claims], devices, is_free, inventory or Inventory())
    return found and [[(each.request, each.device.id.device) for each in of_claim] for of_claim in found]


def names(devices):
    return devices and [device.id.device for device in devices]


@pytest.mark.parametrize(
    ("taken", "count", "gets"),
    [
        ((), 1, ["gpu-0"]),
        ((0,), 1, ["gpu-1"]),
        ((0,), 2, ["gpu-2", "gpu-3"]),
        ((0, 3), 2, ["gpu-1", "gpu-2"]),
        ((0,), 3, ["gpu-1", "gpu-2", "gpu-3"]),
        ((0, 1, 2), 2, None),
    ],
)
def test_linked_cards_stay_together_while_a_smaller_hole_fits(taken, count, gets):
    free = [card for index, card in enumerate(cards("n", 4)) if index not in taken]

    assert names(pick(free, count)) == gets


def test_what_nobody_named_makes_a_nodes_cards_nobodys_to_name():
    ledger, [card, other] = Ledger(), cards("n", 2)

    ledger.hold("pod", [card.uuid])
    assert (ledger.is_free(card), ledger.is_free(other)) == (False, True)
    ledger.hold_unnamed("stranger", "n")
    assert not ledger.is_free(other)
    ledger.drop("stranger")
    ledger.drop("pod")
    assert ledger.is_free(card)


def test_of_a_pool_only_the_newest_generation_counts_and_only_when_it_is_whole():
    old = a_slice("n", {"name": "gpu-0"}, name="a")
    new = [a_slice("n", {"name": f"gpu-{n}"}, generation=2, count=2, name=f"b{n}") for n in range(2)]
    inventory = an_inventory(old)

    assert inventory.set_slice(None, new[0]) == {"n"}
    assert inventory.local("n") == []
    inventory.set_slice(None, new[1])
    assert names(inventory.local("n")) == ["gpu-0", "gpu-1"]


def test_at_least_20_gib_and_ampere():
    claim = a_claim(
        a_request(
            "big",
            f'device.capacity["{DRIVER}"].memory.compareTo(quantity("20Gi")) >= 0',
            f'device.attributes["{DRIVER}"].architecture == "Ampere"',
            f'device.attributes["{DRIVER}"].cudaComputeCapability.isGreaterThan(semver("7.5.0"))',
        )
    )
    hopper = a_claim(a_request("new", f'device.attributes["{DRIVER}"].architecture == "Hopper"'))

    assert given_to([claim], cards("n", 2)) == [[("big", "gpu-0")]]
    assert given_to([hopper], cards("n", 2)) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("device.", "claim default/claim, request cards: selector #0: CEL compile error: compilation failed"),
        (f'device.attributes["{DRIVER}"].nothing == "a"', "selector #0: CEL runtime error: no such key: nothing"),
        ('device.attributes["other.example"].model == "a"', "selector #0: CEL runtime error: no such key: model"),
        (f'device.attributes["{DRIVER}"].architecture', "must evaluate to bool"),
    ],
)
def test_a_selector_that_cannot_be_asked_is_explained(expression, message):
    with pytest.raises(SelectorProblem, match=message.replace("[", r"\[")):
        given_to([a_claim(a_request("cards", expression))], cards("n", 1))


def test_a_missing_class_is_explained():
    with pytest.raises(SelectorProblem, match="request cards: device class gpu does not exist"):
        given_to([a_claim(a_request())], [], classes=())


def test_admin_access_reaches_devices_that_others_have_and_takes_none_away():
    devices = cards("n", 2)
    admin = a_request("look", mode="All", adminAccess=True)

    assert given_to([a_claim(admin)], devices, lambda _: False) == [[("look", "gpu-0"), ("look", "gpu-1")]]
    assert given_to([a_claim(admin), a_claim(a_request(count=2))], devices) is not None
    assert given_to([a_claim(admin, a_request())], devices) is None  # one claim names a device once


def a_partitioned_card(node, memory, **sizes):
    """A pool of two slices: what the devices have in common, and the devices with what each uses of it."""
    shared = {"name": "card", "counters": {"memory": {"value": str(memory)}}}
    pool = {"name": node, "generation": 1, "resourceSliceCount": 2}
    common = {"driver": "parts.example", "nodeName": node, "pool": pool}
    devices = [
        {"name": name, "consumesCounters": [{"counterSet": "card", "counters": {"memory": {"value": str(size)}}}]}
        for name, size in sizes.items()
    ]
    counters = an_object("ResourceSlice", "counters", api_version=GROUP, spec={**common, "sharedCounters": [shared]})
    return an_inventory(
        counters, an_object("ResourceSlice", "devices", api_version=GROUP, spec={**common, "devices": devices})
    )


def test_who_has_a_slice_of_a_card_leaves_too_little_for_the_whole():
    inventory = a_partitioned_card("n", "8Gi", whole="8Gi", left="4Gi", right="4Gi")
    devices, anything = inventory.local("n"), [a_class(expression="true")]

    def names_for(count, *busy):
        found = given_to(
            [a_claim(a_request(count=count))], devices, lambda one: one.id.device not in busy, anything, inventory
        )
        return found and {name for _, name in found[0]}

    assert names_for(2) == {"left", "right"}
    assert names_for(1, "left") == {"right"}
    assert (names_for(3), names_for(1, "whole"), names_for(2, "left")) == (None, None, None)


def test_a_device_that_uses_counters_nobody_told_of_is_nobodys():
    stray = {"name": "d", "consumesCounters": [{"counterSet": "none", "counters": {"memory": {"value": "1"}}}]}
    inventory = an_inventory(a_slice("n", stray))

    assert given_to([a_claim(a_request())], inventory.local("n"), inventory=inventory) is None


def test_all_means_every_fitting_one_or_none():
    claim, devices = a_claim(a_request(mode="All")), cards("n", 3)

    assert given_to([claim], devices) == [[("cards", "gpu-2"), ("cards", "gpu-0"), ("cards", "gpu-1")]]
    assert given_to([claim], devices, lambda device: device.id.device != "gpu-1") is None
    assert given_to([claim], []) is None


def test_the_first_alternative_that_can_be_met_is_taken():
    wish = {"deviceClassName": "gpu", "allocationMode": "ExactCount"}
    ways = [{"name": "many", "count": 4, **wish}, {"name": "two", "count": 2, **wish}]
    claim = a_claim({"name": "cards", "firstAvailable": ways})

    assert given_to([claim], cards("n", 4))[0][0][0] == "cards/many"
    assert {request for request, _ in given_to([claim], cards("n", 3))[0]} == {"cards/two"}


def test_a_capacity_that_is_asked_for_is_one_the_device_must_have():
    small, large = (
        {"name": name, "capacity": {"memory": {"value": size}}} for name, size in (("s", "8Gi"), ("l", "20Gi"))
    )
    devices = an_inventory(a_slice("n", small, large)).local("n")

    for name in ("memory", f"{DRIVER}/memory"):
        assert given_to([a_claim(a_request(capacity={"requests": {name: "10Gi"}}))], devices) == [[("cards", "l")]]
    assert given_to([a_claim(a_request(capacity={"requests": {"cores": "1"}}))], devices) is None


def test_a_taint_without_effect_keeps_nobody_off():
    devices = an_inventory(a_slice("n", {"name": "gpu-0", "taints": [{"key": "old", "effect": "None"}]})).local("n")

    assert given_to([a_claim(a_request())], devices) == [[("cards", "gpu-0")]]


def test_a_taint_keeps_everybody_off_who_does_not_tolerate_it():
    taint = {"key": f"{DRIVER}/unhealthy", "value": "true", "effect": "NoSchedule"}
    devices = an_inventory(a_slice("n", {"name": "gpu-0", "taints": [taint]})).local("n")
    brave = [{"key": f"{DRIVER}/unhealthy", "operator": "Exists"}]

    assert given_to([a_claim(a_request())], devices) is None
    assert given_to([a_claim(a_request(tolerations=brave))], devices) == [[("cards", "gpu-0")]]


@st.composite
def puzzles(draw):
    def device(index):
        attributes = {
            "model": {"string": draw(st.sampled_from("ab"))},
            **({"root": {"int": draw(st.integers(0, 1))}} if draw(st.booleans()) else {}),
        }
        memory = {"counterSet": "card", "counters": {"memory": {"value": str(draw(st.integers(1, 3)))}}}
        uses = {"consumesCounters": [memory]} if draw(st.booleans()) else {}
        return {"name": f"d{index}", "attributes": attributes, **uses}

    shared = {"name": "card", "counters": {"memory": {"value": str(draw(st.integers(0, 6)))}}}
    counters = a_slice("n", count=2, name="counters", shared=[shared])
    inventory = an_inventory(a_slice("n", *map(device, range(draw(st.integers(0, 5)))), count=2), counters)
    devices = inventory.local("n")
    model = st.sampled_from([[], [f'device.attributes["{DRIVER}"].model == "a"']])
    mode = st.sampled_from(["ExactCount", "ExactCount", "All"])

    def request(index):
        looks = {"adminAccess": True} if draw(st.integers(0, 3)) == 0 else {}
        return a_request(f"r{index}", *draw(model), count=draw(st.integers(1, 3)), mode=draw(mode), **looks)

    def claim(number):
        kind = draw(st.sampled_from(["matchAttribute", "distinctAttribute"]))
        name = draw(st.sampled_from(["model", "root"]))
        constraints = [{kind: f"{DRIVER}/{name}"}] if draw(st.booleans()) else []
        requests = [request(index) for index in range(draw(st.integers(1, 2)))]
        return a_claim(*requests, constraints=constraints, name=f"c{number}")

    busy = {device.id for device in devices if draw(st.integers(0, 4)) == 0}
    return [claim(number) for number in range(draw(st.integers(1, 2)))], inventory, busy


def can_be_met(claims, inventory, busy):
    """Every way to give sets of devices to all requests, tried one after the other."""
    requests = [(claim, request.exactly) for claim in claims for request in claim.spec.devices.requests]
    devices = inventory.local("n")

    def memory_of(those):
        return sum(amount.value for device in those for amount in device.consumes.values())

    shared = inventory.counters((DRIVER, "n"))
    left = sum(amount.value for amount in shared.values()) - memory_of(each for each in devices if each.id in busy)

    def sets_for(exact):
        wants_a = bool(exact.selectors)
        fitting = [each for each in devices if not wants_a or each.text("model") == "a"]
        had = set() if exact.admin_access else busy
        if exact.allocation_mode == "All":
            return [tuple(fitting)] if fitting and not any(each.id in had for each in fitting) else []
        return list(combinations([each for each in fitting if each.id not in had], exact.count))

    def is_allowed(way):
        taken = [
            device for (_, how), those in zip(requests, way, strict=True) if not how.admin_access for device in those
        ]
        wants_memory = any(device.consumes for device in taken)
        if len({device.id for device in taken}) < len(taken) or (wants_memory and memory_of(taken) > left):
            return False
        for claim in claims:
            own = [
                device for (whose, _), found in zip(requests, way, strict=True) if whose is claim for device in found
            ]
            if len({device.id for device in own}) < len(own):
                return False
            for constraint in claim.spec.devices.constraints:
                values = [
                    device.attribute(constraint.match_attribute or constraint.distinct_attribute) for device in own
                ]
                wanted = 1 if constraint.match_attribute else len(values)
                if None in values or len(set(values)) != wanted:
                    return False
        return True

    return any(is_allowed(way) for way in product(*(sets_for(exact) for _, exact in requests)))


@settings(max_examples=300, deadline=None)
@given(puzzles())
def test_claims_are_met_exactly_when_some_way_meets_them(puzzle):
    claims, inventory, busy = puzzle

    found = given_to(claims, inventory.local("n"), lambda device: device.id not in busy, inventory=inventory)

    assert (found is not None) == can_be_met(claims, inventory, busy)


def a_gpu_view(count, **more):
    return a_view(containers=[a_container(requests={"nvidia.com/gpu": str(count)})], **more)


def test_cards_are_packed_unless_a_pod_wants_to_spread():
    nodes = [a_node(name, allocatable={"nvidia.com/gpu": "4"}) for name in ("empty", "used")]
    placed = [(a_gpu_view(1), "used")]

    assert decide(a_gpu_view(1), *nodes, placed=placed).winner == "used"
    assert decide(a_gpu_view(1, annotations={PLACEMENT: "spread"}), *nodes, placed=placed).winner == "empty"


def test_cards_of_claims_are_packed_too():
    nodes = [a_node(name, allocatable={"nvidia.com/gpu": "4"}) for name in ("empty", "used")]
    placed = [(a_gpu_view(1), "used")]
    needs = DeviceNeeds(nodes=("empty", "used"), cards=1)

    assert decide(a_view().replace(devices=needs), *nodes, placed=placed).winner == "used"
    spreading = a_view(annotations={PLACEMENT: "spread"}).replace(devices=needs)
    assert decide(spreading, *nodes, placed=placed).winner == "empty"


def test_who_needs_no_card_stays_off_nodes_with_cards_while_others_have_room():
    plain, rich = a_node("plain", cpu="1"), a_node("rich", cpu="64", allocatable={"nvidia.com/gpu": "4"})

    assert decide(a_view(requests={"cpu": "900m"}), plain, rich).winner == "plain"
    assert decide(a_view(requests={"cpu": "2"}), plain, rich).winner == "rich"


def test_a_pod_goes_where_its_claims_are_or_can_be_met():
    nodes = [a_node(name) for name in ("a", "b", "c")]
    pod = a_view()

    somewhere = decide(PodView(pod.pod, devices=DeviceNeeds(nodes=("b",))), *nodes)
    nowhere = decide(PodView(pod.pod, devices=DeviceNeeds(nodes=())), *nodes)
    broken = decide(PodView(pod.pod, devices=DeviceNeeds('resourceclaim "x" not found')), *nodes)

    assert somewhere.winner == "b"
    assert nowhere.message == "0/3 nodes are available: 3 cannot allocate all claims."
    assert broken.message == '0/3 nodes are available: resourceclaim "x" not found.'
