"""Pods whose devices were marked as to be left go, unless their claims tolerate that."""

from datetime import timedelta

import pytest
from make import NOW, a_pod, an_object

from controllers.nodes.device_taint_eviction import plan, users_of_devices
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client.plan import CheckAgain, Delete, Event
from wherry.client.world import World

V1 = "resource.k8s.io/v1"


def a_slice(*, effect="NoExecute", seconds_ago=0, generation=1, device="d", name="s"):
    taint = {"key": "broken", "value": "yes", "effect": effect, "timeAdded": NOW - timedelta(seconds=seconds_ago)}
    pool = {"name": "p", "generation": generation, "resourceSliceCount": 1}
    spec = {"driver": "x.example", "nodeName": "n", "pool": pool, "devices": [{"name": device, "taints": [taint]}]}
    return an_object("ResourceSlice", name, api_version=V1, spec=spec)


def a_claim(*tolerations, user="pod-default-web"):
    result = {"request": "r", "driver": "x.example", "pool": "p", "device": "d", "tolerations": list(tolerations)}
    status = {
        "allocation": {"devices": {"results": [result]}},
        "reservedFor": [{"resource": "pods", "name": "web", "uid": user}],
    }
    return an_object("ResourceClaim", "c", api_version=V1, status=status)


def a_user(**more):
    claims = [{"name": "cards", "resourceClaimName": "c"}]
    return a_pod("web", **{"node": "n", **more}, resourceClaims=claims)


def planned(*objects, pod=None):
    pod = pod or a_user()
    return list(plan(pod, World(pod, *objects)))


def test_a_pod_whose_device_is_to_be_left_goes_and_says_why():
    event, told, delete = planned(a_slice(), a_claim())

    assert event == Event(a_user(), "DeviceTaintManagerEviction", "Marking for deletion")
    [condition] = told.obj.status.conditions
    assert (condition.type, condition.reason) == ("DisruptionTarget", "DeletionByDeviceTaintManager")
    assert delete == Delete(a_user())


@pytest.mark.parametrize(
    ("slice", "claim"),
    [
        (a_slice(effect="NoSchedule"), a_claim()),
        (a_slice(device="other"), a_claim()),
        (a_slice(), a_claim(user="somebody-else")),
        (a_slice(), a_claim({"key": "broken", "operator": "Exists"})),
        (a_slice(), a_claim({"operator": "Exists", "tolerationSeconds": 0}, {"operator": "Exists"})),
    ],
    ids=["only for new pods", "another device", "not its claim", "tolerated", "one of two is for ever"],
)
def test_others_stay(slice, claim):
    assert planned(slice, claim) == []


def test_a_toleration_for_some_seconds_counts_from_the_taint():
    claim = a_claim({"key": "broken", "operator": "Equal", "value": "yes", "tolerationSeconds": 300})

    assert planned(a_slice(seconds_ago=100), claim) == [CheckAgain(200)]
    assert Delete(a_user()) in planned(a_slice(seconds_ago=300), claim)


def test_only_the_newest_slices_of_a_pool_count():
    healed = a_slice(effect="None", generation=2, name="s2")

    assert planned(a_slice(), healed, a_claim()) == []


@pytest.mark.parametrize("pod", [a_user(phase="Succeeded"), a_user(deleted=True), a_user(node="")])
def test_pods_that_are_over_or_nowhere_are_left_alone(pod):
    assert planned(a_slice(), a_claim(), pod=pod) == []


def test_only_evicting_taints_wake_the_pods_that_have_such_devices():
    world = World(a_claim())

    assert list(users_of_devices(a_slice(), world)) == ["default/web"]
    assert list(users_of_devices(a_slice(effect="NoSchedule"), world)) == []


class Counting(World):
    """Knows how often all slices were looked through."""

    looks = 0

    def list(self, kind, **more):
        self.looks += kind is ResourceSlice
        return super().list(kind, **more)


def test_slices_are_looked_through_once_however_many_devices_a_claim_has():
    results = [{"request": "r", "driver": "x.example", "pool": "p", "device": f"d{n}"} for n in range(8)]
    status = a_claim().to_wire()["status"] | {"allocation": {"devices": {"results": results}}}
    pod, many = a_user(), an_object("ResourceClaim", "c", api_version=V1, status=status)
    world = Counting(pod, many, *(a_slice(device=f"d{n}", name=f"s{n}") for n in (6, 7)))

    assert Delete(pod) in list(plan(pod, world))
    assert world.looks == 1
