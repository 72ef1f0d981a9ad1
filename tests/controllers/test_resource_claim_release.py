"""Claims on devices that nobody uses any more give them back."""

from datetime import timedelta

from make import NOW, a_pod, an_object

from controllers.resource_claim_release import MISSED, plan
from wherry.api.resource.resource_claim import DELETE_PROTECTION, ResourceClaim
from wherry.client.plan import CheckAgain, Update
from wherry.client.world import World
from wherry.machinery.time import time_text

ALLOCATION = {"devices": {"results": [{"request": "gpu", "driver": "gpu.nvidia.com", "pool": "n", "device": "gpu-0"}]}}
GONE = {"status": {"reservedFor": None, "allocation": None}}


def a_user(name):
    return {"resource": "pods", "name": name, "uid": f"pod-default-{name}"}


def a_claim(*users, allocation=ALLOCATION, **more):
    status = {"allocation": allocation, "reservedFor": [a_user(name) for name in users]} if allocation else {}
    return an_object(
        "ResourceClaim", "c", api_version="resource.k8s.io/v1", status=status, finalizers=[DELETE_PROTECTION], **more
    )


def test_a_finished_pod_is_dropped_and_with_the_last_one_go_the_devices():
    done, running = a_pod("done", node="n", phase="Succeeded"), a_pod("running", node="n")
    shared, own = a_claim("done", "running"), a_claim("done")

    assert list(plan(shared, World(shared, done, running))) == [
        Update(shared, {"status": {"reservedFor": [a_user("running")]}}, "status")
    ]
    assert list(plan(own, World(own, done))) == [Update(own, GONE, "status")]


def test_a_pod_that_nothing_is_heard_of_is_dropped_after_a_while():
    claim = a_claim("lost")
    noted = a_claim("lost", annotations={MISSED: f"{time_text(NOW)} pod-default-lost"})

    mark = {"metadata": {"annotations": {MISSED: f"{time_text(NOW)} pod-default-lost"}}}
    assert list(plan(claim, World(claim))) == [Update(claim, mark)]
    assert list(plan(noted, World(noted))) == [CheckAgain(3.0)]
    assert list(plan(noted, World(noted, now=NOW + timedelta(seconds=3)))) == [Update(noted, GONE, "status")]
    assert list(plan(noted, World(noted, a_pod("lost")))) == [
        Update(noted, {"metadata": {"annotations": {MISSED: None}}})
    ]


def test_a_claim_that_is_deleted_is_let_go_once_it_has_nothing():
    using, idle = a_claim("web", deleted=True), a_claim(deleted=True)
    empty = a_claim(allocation=None, deleted=True)

    assert list(plan(using, World(using, a_pod("web", node="n")))) == []
    assert list(plan(idle, World(idle))) == [Update(idle, GONE, "status")]
    assert list(plan(empty, World(empty))) == [Update(empty, {"metadata": {"finalizers": []}})]


def test_a_claim_in_use_is_left_alone():
    claim = a_claim("web")

    assert list(plan(claim, World(claim, a_pod("web", node="n")))) == []
    assert isinstance(claim, ResourceClaim)
