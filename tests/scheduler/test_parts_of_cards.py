"""Parts of cards: packed onto cards that are in parts already, never onto whole ones, never more than there is."""

from hypothesis import given
from hypothesis import strategies as st
from make import a_container, a_node, a_pod
from scheduling import all_plugins
from test_explaining import hinted

from scheduler.devices.inventory import Device, DeviceId
from scheduler.devices.ledger import Ledger, charge_of
from scheduler.devices.parts import Part
from scheduler.explaining.forecast import forecast
from scheduler.explaining.picture import Objects, Picture
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import DRIVER, GRANTED, MEMORY, SHARE, Share, fake_gpus, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice

GI = 1024**3


def cards(number=4, memory=40, links=()):
    return [
        Device(
            DeviceId(DRIVER, "n", f"gpu-{index}"),
            "n",
            attributes={
                "uuid": {"string": f"GPU-{index}"},
                "type": {"string": "gpu"},
                "nvlinkGroup": {"string": f"pair-{index // 2}"},
            },
            capacity={"memory": str(memory * GI)},
        )
        for index in range(number)
    ]


def part(device, size):
    return Part("n", device.uuid, Share(size * GI, device.memory_bytes))


def picked(ledger, devices, size):
    found = ledger.parts.pick(devices, size * GI, ledger.is_free)
    return found and found.uuid


def test_a_part_goes_to_the_fullest_card_in_parts_and_else_to_a_whole_one_of_a_broken_pair():
    devices, ledger = cards(), Ledger()
    ledger.hold("whole", ["GPU-2"])

    assert picked(ledger, devices, 10) == "GPU-3"
    ledger.hold_part("a", part(devices[0], 10))
    ledger.hold_part("b", part(devices[1], 20))
    assert [picked(ledger, devices, size) for size in (10, 20, 30, 40)] == ["GPU-1", "GPU-1", "GPU-0", "GPU-3"]


def test_a_card_in_parts_is_nobodys_whole_card_and_counts_as_one_less():
    devices, ledger = cards(2), Ledger()
    ledger.hold_part("a", part(devices[0], 10))

    assert ([ledger.is_free(card) for card in devices], charge_of(devices, ledger)) == ([False, True], 1)
    assert ledger.drop("a") == part(devices[0], 10)
    assert ([ledger.is_free(card) for card in devices], charge_of(devices, ledger)) == ([True, True], 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40), st.booleans()), max_size=40))
def test_no_card_is_ever_given_out_for_more_than_it_has(steps):
    devices, ledger = cards(2), Ledger()
    for pod, size, leaves in steps:
        ledger.drop(str(pod))
        found = None if leaves else ledger.parts.pick(devices, size * GI, ledger.is_free)
        if found is not None:
            ledger.hold_part(str(pod), part(found, size))
        elif not leaves:
            assert all(ledger.parts.left(card) < size * GI for card in devices)
        assert all(ledger.parts.left(card) >= 0 for card in devices)


def wants(name, resource, amount, **more):
    return a_pod(name, uid=name, spec={"containers": [a_container(requests={resource: str(amount)})]}, **more)


def a_picture(*pods, gpus=2):
    allocatable = {
        "nvidia.com/gpu": str(gpus),
        MEMORY: str(40 * GI * gpus),
        "cpu": "64",
        "memory": "64Gi",
        "pods": "110",
    }
    nodes = [a_node(name, allocatable=allocatable) for name in ("n1", "n2")]
    slices = [ResourceSlice.read(slice_manifest(name, name, fake_gpus(name, gpus), 1)) for name in ("n1", "n2")]
    return Picture(Objects({Node: nodes, Pod: pods, ResourceSlice: slices}), {"default-scheduler": all_plugins()})


def test_parts_fill_one_card_before_another_and_leave_the_rest_whole():
    parts = [wants(f"p{n}", MEMORY, "20Gi") for n in range(3)]
    wholes = [wants(f"w{n}", "nvidia.com/gpu", 1) for n in range(3)]
    fates = forecast(a_picture(), [*parts, *wholes]).fates

    assert len({fate.node for fate in fates[:2]}) == 1
    assert [bool(fate.node) for fate in fates] == [True] * 5 + [False]


def test_where_no_single_card_has_so_much_left_nobody_goes_though_the_sum_would_do():
    record = {GRANTED: "GPU-n1-0", SHARE: f"{30 * GI}/{40 * GI}"}
    there = wants("there", MEMORY, "30Gi", node="n1", annotations=record)
    picture = a_picture(there, wants("w", "nvidia.com/gpu", 2, node="n2", annotations={GRANTED: "GPU-n2-0,GPU-n2-1"}))

    first, second = forecast(picture, [wants("a", MEMORY, "30Gi"), wants("b", MEMORY, "20Gi")]).fates

    assert (first.node, second.node) == ("n1", "")
    left = "no card with 20Gi of memory left (the largest part left is 10Gi)"
    assert second.judgement.decision.message == f"0/2 nodes are available: 2 {left}."


def test_a_pod_that_wants_a_whole_card_is_told_who_has_it_in_parts_and_for_whom_room_is_kept():
    record = {GRANTED: "GPU-n1-0", SHARE: f"{30 * GI}/{40 * GI}"}
    there = wants("there", MEMORY, "30Gi", node="n1", annotations=record)
    kept = wants("kept", "nvidia.com/gpu", 2, status={"nominatedNodeName": "n2"})

    assert hinted(wants("whole", "nvidia.com/gpu", 2), a_picture(there, kept)) == [
        "it fits on n1 when 1 nvidia.com/gpu frees; held by gpu-0 in parts of default/there (1)",
        "it would fit on n2, but room is kept there for default/kept",
    ]


def test_cards_and_a_part_of_one_are_not_to_be_had_together():
    both = [a_container(requests={MEMORY: "1Gi", "nvidia.com/gpu": "1"})]
    [fate] = forecast(a_picture(), [a_pod("both", uid="b", spec={"containers": both})]).fates

    why = f"a pod that asks for {MEMORY} can have no other devices"
    assert fate.judgement.decision.message == f"0/2 nodes are available: {why}."
