"""Who holds which cards: what pods and claims say, and nothing else."""

from make import a_condition, a_container, a_pod, an_object

from scheduler.devices.inventory import Inventory
from scheduler.sharing.holdings import Card, holdings_of, idle_cards
from wherry.api.resource.gpu import DRIVER, GRANTED, fake_gpus, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice

MODEL = "NVIDIA A100-SXM4-40GB"


def an_inventory():
    inventory = Inventory()
    inventory.set_slice(None, ResourceSlice.read(slice_manifest("gpu-1", "u", fake_gpus("gpu-1", 3), 1)))
    return inventory


def with_cards(name, *uuids, count=0, **more):
    containers = [a_container(requests={"nvidia.com/gpu": str(count or len(uuids))})]
    annotations = {GRANTED: ",".join(uuids)} if uuids else {}
    conditions = [a_condition("PodScheduled")]
    spec = {"containers": containers}
    return a_pod(name, node="gpu-1", annotations=annotations, conditions=conditions, spec=spec, **more)


def test_cards_are_named_whether_they_were_counted_or_claimed():
    results = [{"request": "r", "driver": DRIVER, "pool": "gpu-1", "device": "gpu-2"}]
    user = {"resource": "pods", "name": "claims", "uid": "c"}
    status = {"allocation": {"devices": {"results": results}}, "reservedFor": [user]}
    claim = an_object("ResourceClaim", "x", api_version="resource.k8s.io/v1", spec={}, status=status)
    pods = [with_cards("counts", "GPU-gpu-1-0", uid="k"), a_pod("claims", uid="c", node="gpu-1")]

    found = holdings_of(pods, [claim], an_inventory())

    assert {each.pod.metadata.name: each.cards for each in found} == {
        "counts": (Card("GPU-gpu-1-0", "gpu-0", MODEL),),
        "claims": (Card("GPU-gpu-1-2", "gpu-2", MODEL),),
    }
    assert idle_cards(found, an_inventory()) == {"gpu-1": [Card("GPU-gpu-1-1", "gpu-1", MODEL)]}


def test_a_card_that_no_slice_tells_of_and_one_that_only_the_node_knows_are_held_too():
    pods = [with_cards("old", "GPU-gone", uid="o"), with_cards("plain", count=2, uid="p")]

    found = {each.pod.metadata.name: (each.cards, each.unnamed) for each in holdings_of(pods, [], an_inventory())}

    assert found == {"old": ((Card("GPU-gone"),), 0), "plain": ((), 2)}


def test_a_user_is_named_by_the_label_or_else_by_the_namespace_and_who_is_finished_holds_nothing():
    labels = {"wherry.dev/user": "alice"}
    pods = [
        with_cards("a", "GPU-gpu-1-0", uid="a", labels=labels),
        with_cards("b", "GPU-gpu-1-1", uid="b", namespace="bob"),
        with_cards("c", "GPU-gpu-1-2", uid="c", phase="Succeeded"),
    ]

    assert [each.user for each in holdings_of(pods, [], an_inventory())] == ["alice", "bob"]
