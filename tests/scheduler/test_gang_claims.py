"""Gangs whose pods claim devices, against an API server, in virtual time: claims are written for all, or for none."""

import asyncio

import pytest
from binding_api import BindingApi
from make import a_container, a_pod, an_object
from scheduling import gpu_node
from test_devices import GROUP, a_class, a_request
from test_gang_runner import a_gang, placed
from test_scheduler_runner import events, placement, scheduling

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import DRIVER, GRANTED, fake_gpus, slice_manifest
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.api.scheduling.pod_group import PodGroup
from wherry.client import clock
from wherry.machinery.errors import Forbidden
from wherry.sim.virtual_time import in_virtual_time


def a_cluster(cards, disturb=None):
    api = BindingApi(disturb=disturb)
    api.put(gpu_node("n", cards))
    api.put(ResourceSlice.read(slice_manifest("n", "n", fake_gpus("n", cards), 1)))
    api.put(a_class())
    return api


def a_member(api, name, group, device=""):
    """A pod with a claim of its own; with a `device`, a scheduler died when it had written the claim."""
    use = {"name": "cards", "resourceClaimName": name}
    of = {"podGroupName": group} if group else None
    pod = api.put(a_pod(name, resource_claims=[use], scheduling_group=of, created=clock.now()))
    results = {"results": [{"request": "cards", "driver": DRIVER, "pool": "n", "device": device}]}
    users = [{"resource": "pods", "name": name, "uid": pod.metadata.uid}]
    status = {"allocation": {"devices": results, "nodeSelector": AT_N}, "reservedFor": users} if device else {}
    spec = {"devices": {"requests": [a_request()]}}
    return api.put(an_object("ResourceClaim", name, api_version=GROUP, spec=spec, status=status))


AT_N = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]}


def pod_of(api, name):
    return next(pod for pod in api.all(Pod) if pod.metadata.name == name)


def given(api):
    return {claim.metadata.name for claim in api.all(ResourceClaim) if claim.status.allocation}


@in_virtual_time
async def test_if_one_claim_of_a_gang_cannot_be_written_none_of_its_pods_is_bound():
    async def disturb(method, path, perform):
        if method == "PATCH" and "resourceclaims/train-1" in path:
            raise Forbidden("not this one")
        return await perform()

    api = a_cluster(2, disturb)
    a_gang(api, "train", 2)
    async with scheduling(api):
        for index in range(2):
            a_member(api, f"train-{index}", "train")
        await asyncio.sleep(0.5)
        assert (placed(api, "train"), given(api)) == (0, set())

    rejected = 'binding rejected: running PreBind plugin "DynamicResources": not this one'
    assert ("train-0", "FailedScheduling", rejected) in events(api)


@in_virtual_time
@pytest.mark.parametrize("group", ["", "other"])
async def test_a_gang_that_fits_no_more_gives_back_what_was_written_for_some_of_it(group):
    api = a_cluster(2)
    a_gang(api, "train", 3), a_gang(api, "other", 2)
    for index in range(2):
        a_member(api, f"train-{index}", "train", f"gpu-{index}")
    a_member(api, "train-2", "train")
    async with scheduling(api):
        for index in range(2):
            a_member(api, f"other-{index}", group)
        await asyncio.sleep(15)

    assert (placed(api, "train"), placed(api, "other")) == (0, 2)
    assert given(api) == {"other-0", "other-1"}


@in_virtual_time
async def test_of_a_gang_whose_claims_are_still_to_be_made_nothing_is_said_until_they_are():
    api = a_cluster(2)
    a_gang(api, "train", 2)
    uses, of = [{"name": "cards", "resourceClaimTemplateName": "one"}], {"podGroupName": "train"}
    made = {"resourceClaimStatuses": [{"name": "cards"}]}
    async with scheduling(api):
        for name in ("train-0", "train-1"):
            api.put(a_pod(name, uid=name, resource_claims=uses, scheduling_group=of))
        await asyncio.sleep(5)
        told = events(api), pod_of(api, "train-0").status.conditions, api.all(PodGroup)[0].status.conditions
        for name in ("train-0", "train-1"):
            api.put(a_pod(name, uid=name, resource_claims=uses, scheduling_group=of, status=made))
        await asyncio.sleep(15)

    assert (told, placed(api, "train")) == (([], (), ()), 2)


def a_wish(api, how, name, group=""):
    """A pod that wants a card: counted, a large part of one, or by a claim."""
    if how == "claim":
        a_member(api, name, group)
        return
    requests = {"nvidia.com/gpu": "1"} if how == "count" else {"wherry.dev/gpu-memory": "30Gi"}
    of = {"podGroupName": group} if group else None
    api.put(a_pod(name, containers=[a_container(requests=requests)], scheduling_group=of, created=clock.now()))


@in_virtual_time
@pytest.mark.parametrize("how", ["count", "part", "claim"])
async def test_nobody_takes_a_card_that_is_kept_for_a_gang_however_he_asks_for_it(how):
    api = a_cluster(4)
    runs = api.put(a_pod("runs", node="n", phase="Running", requests={"nvidia.com/gpu": "1"}, annotations=ONE_CARD))
    a_gang(api, "train", 4)
    async with scheduling(api):
        for index in range(4):
            a_wish(api, how, f"train-{index}", "train")
        await asyncio.sleep(90)
        for other in ("count", "part", "claim"):
            a_wish(api, other, f"small-{other}")
        await asyncio.sleep(10)
        before = {name for name, node in placement(api).items() if node}
        api.remove(runs)
        await asyncio.sleep(20)

    assert before == {"runs"}
    assert (placed(api, "train"), placed(api, "small")) == (4, 0)


ONE_CARD = {GRANTED: "GPU-n-0"}


@in_virtual_time
async def test_who_counts_cards_gets_the_one_that_a_claim_gives_back_after_its_pod_is_gone():
    api = a_cluster(1)
    claim = a_member(api, "claims", "", "gpu-0")
    async with scheduling(api):
        await asyncio.sleep(1)
        a_wish(api, "count", "counts")
        await asyncio.sleep(30)
        api.remove(pod_of(api, "claims"))
        await asyncio.sleep(30)
        assert placement(api) == {"counts": ""}
        api.put(claim.with_status(allocation=None, reserved_for=()))
        await asyncio.sleep(1)

    assert placement(api) == {"counts": "n"}


@in_virtual_time
async def test_devices_of_a_pod_that_was_gone_before_it_was_bound_go_to_who_waits_at_once():
    async def disturb(method, path, perform):
        if method == "POST" and "binding" in path and "brief" in placement(api):
            await asyncio.sleep(30)
            api.remove(pod_of(api, "brief"))
        return await perform()

    api = a_cluster(1, disturb)
    async with scheduling(api):
        a_member(api, "brief", "")
        await asyncio.sleep(10)
        a_member(api, "waits", "")
        await asyncio.sleep(25)

    assert placement(api) == {"waits": "n"}
