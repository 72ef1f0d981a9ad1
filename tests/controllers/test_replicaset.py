"""The ReplicaSet controller: world in, actions out."""

from datetime import timedelta

import pytest
from make import NOW, a_condition, a_deployment, a_pod, a_replicaset

from controllers.parts.replicas import BURST
from controllers.parts.scale_down import cheapest_to_lose
from controllers.replicaset import plan
from wherry.api.core.pod.resource import pod_from
from wherry.client.plan import Action, CheckAgain, Create, Delete, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.errors import Forbidden


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_a_missing_pod_is_created_after_the_status_is_told():
    rs = a_replicaset(replicas=3)
    world = World(rs, a_pod(owner=rs), a_pod(owner=rs, ready=True))

    counts = {"replicas": 2, "fully_labeled_replicas": 2, "ready_replicas": 1, "available_replicas": 1}
    assert list(plan(rs, world)) == [
        SetStatus(rs.with_status(**counts, terminating_replicas=0, observed_generation=1)),
        Create(pod_from(rs.spec.template, owner=rs)),
    ]


def test_one_that_does_not_select_its_own_pods_makes_none():
    rs = a_replicaset(replicas=3, selector={"matchLabels": {"app": "damaged"}})

    assert kinds(list(plan(rs, World(rs)))) == ["SetStatus"]


def test_surplus_pods_are_deleted_the_cheapest_first():
    rs = a_replicaset(replicas=1)
    ready, pending = a_pod(owner=rs, ready=True, node="n1"), a_pod(owner=rs)

    assert list(plan(rs, World(rs, ready, pending)))[1:] == [Delete(pending)]


def test_finished_pods_and_those_being_deleted_are_replaced():
    rs = a_replicaset(replicas=2)
    world = World(rs, a_pod(owner=rs, phase="Failed"), a_pod(owner=rs, deleted=True))

    status, *rest = plan(rs, world)

    assert status == SetStatus(
        rs.with_status(replicas=0, terminating_replicas=1, observed_generation=1),
    )
    assert rest == [Create(pod_from(rs.spec.template, owner=rs))] * 2


@pytest.mark.parametrize(
    ("replicas", "refused", "wait"), [(1, 1, 0), (1, 2, 1), (1, 5, 8), (1, 30, 300), (10, 10, 0), (10, 11, 1)]
)
def test_pods_that_nodes_refuse_are_replaced_ever_more_slowly(replicas: int, refused: int, wait: int):
    rs = a_replicaset(replicas=replicas)
    pods = [a_pod(owner=rs, phase="Failed", created=NOW) for _ in range(refused)]

    rest = list(plan(rs, World(rs, *pods)))[1:]

    assert rest == ([CheckAgain(wait)] if wait else [Create(pod_from(rs.spec.template, owner=rs))] * replicas)


def test_who_ran_or_was_refused_long_ago_or_before_the_pause_is_replaced_at_once():
    rs = a_replicaset(replicas=1)
    ran = {"containerStatuses": [{"name": "c", "containerID": "x://1"}], "phase": "Failed"}
    old, earlier = NOW - timedelta(minutes=11), NOW - timedelta(seconds=2)

    ended = {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 1}}}], "phase": "Failed"}
    for status, created in ((ran, NOW), (ended, NOW), ({"phase": "Failed"}, old), ({"phase": "Failed"}, earlier)):
        pods = [a_pod(owner=rs, status=status, created=created) for _ in range(2)]
        assert kinds(list(plan(rs, World(rs, *pods)))) == ["SetStatus", "Create"]


def test_who_is_refused_for_hours_is_not_replaced_faster_again():
    rs = a_replicaset(replicas=1)
    long_ago = [NOW - timedelta(seconds=300 * number) for number in range(12)]
    pods = [a_pod(owner=rs, phase="Failed", created=at) for at in long_ago]

    assert list(plan(rs, World(rs, *pods)))[1:] == [CheckAgain(300)]


@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
def test_once_a_node_has_taken_a_pod_what_was_refused_before_counts_no_more(phase: str):
    rs = a_replicaset(replicas=2)
    pods = [a_pod(owner=rs, phase="Failed", created=NOW - timedelta(seconds=9)) for _ in range(30)]
    taken = a_pod(owner=rs, phase=phase, created=NOW - timedelta(seconds=5))

    assert "Create" in kinds(list(plan(rs, World(rs, *pods, taken))))


def test_a_clock_that_was_set_back_keeps_no_pod_waiting():
    rs = a_replicaset(replicas=1)
    pods = [a_pod(owner=rs, phase="Failed", created=NOW + timedelta(hours=1)) for _ in range(30)]

    assert kinds(list(plan(rs, World(rs, *pods)))) == ["SetStatus", "Create"]


def test_a_replicaset_being_deleted_makes_and_deletes_nothing():
    rs = a_replicaset(replicas=3, deleted=True)

    assert kinds(list(plan(rs, World(rs, a_pod(owner=rs))))) == ["SetStatus"]


def test_an_orphan_that_matches_is_adopted_and_counts():
    rs = a_replicaset(replicas=1)
    orphan = a_pod(labels={"app": "web"})

    update, status = plan(rs, World(rs, orphan))

    assert isinstance(update, Update)
    assert update.obj == orphan
    assert status == SetStatus(
        rs.with_status(replicas=1, fully_labeled_replicas=1, terminating_replicas=0, observed_generation=1)
    )


def test_a_huge_scale_up_goes_in_bursts():
    rs = a_replicaset(replicas=2 * BURST)

    assert kinds(list(plan(rs, World(rs)))).count("Create") == BURST


def test_a_pod_is_available_only_after_min_ready_seconds_and_the_plan_comes_back_for_it():
    rs = a_replicaset(replicas=2, min_ready_seconds=30)
    old = a_pod(owner=rs, ready=True, ready_since=NOW - timedelta(seconds=30))
    young = a_pod(owner=rs, ready=True, ready_since=NOW - timedelta(seconds=10))

    status, again = plan(rs, World(rs, old, young))

    assert isinstance(status, SetStatus)
    assert (status.obj.status.ready_replicas, status.obj.status.available_replicas) == (2, 1)  # type: ignore[attr-defined]
    assert again == CheckAgain(20)


def test_why_the_last_creation_failed_is_told_and_forgotten_when_it_works():
    rs = a_replicaset(replicas=1)
    failed = World(rs, failure=Forbidden("quota exceeded"))
    cured = a_replicaset(replicas=0, status={"conditions": [a_condition("ReplicaFailure", reason="FailedCreate")]})

    (told, *_), (healed, *_) = plan(rs, failed), plan(cured, World(cured))

    condition = told.obj.status.conditions[0]
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        ("ReplicaFailure", "True", "FailedCreate", "quota exceeded")
    )
    assert healed.obj.status.conditions == ()


RUNNING = {"phase": "Running", "node": "n1"}


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [
        ({"node": ""}, {"node": "n1"}),
        ({"node": "n1", "phase": "Pending"}, {"node": "n1", "phase": "Unknown"}),
        ({"node": "n1", "phase": "Unknown"}, RUNNING),
        ({**RUNNING, "ready": False}, {"node": "n1", "ready": True}),
        ({**RUNNING, "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}, RUNNING),
        (RUNNING, {**RUNNING, "annotations": {"controller.kubernetes.io/pod-deletion-cost": "2147483647"}}),
        (
            {"node": "n1", "ready": True, "ready_since": NOW - timedelta(minutes=1)},
            {"node": "n1", "ready": True, "ready_since": NOW - timedelta(hours=1)},
        ),
        ({**RUNNING, "status": {"containerStatuses": [{"name": "app", "restartCount": 3}]}}, RUNNING),
        ({**RUNNING, "created": NOW - timedelta(minutes=1)}, {**RUNNING, "created": NOW - timedelta(hours=1)}),
    ],
)
def test_of_two_pods_the_cheaper_one_goes_first(cheaper, dearer):
    one, other = a_pod(**cheaper), a_pod(**dearer)

    assert cheapest_to_lose([other, one], [], NOW) == [one, other]


def test_ages_of_one_order_of_magnitude_are_equal_so_that_bursts_shrink_at_random():
    ages = {"z": 61, "a": 60}
    pods = [a_pod(uid=uid, ready=True, ready_since=NOW - timedelta(seconds=age)) for uid, age in ages.items()]

    assert [pod.metadata.uid for pod in cheapest_to_lose(pods, [], NOW)] == ["a", "z"]


def test_a_node_with_two_pods_of_one_deployment_gives_one_up():
    deployment = a_deployment()
    rs, sibling = a_replicaset(replicas=1, owner=deployment), a_replicaset(owner=deployment)
    alone = a_pod("a", owner=rs, ready=True, node="n1")
    doubled = a_pod("b", owner=rs, ready=True, node="n2")
    neighbour = a_pod("c", owner=sibling, ready=True, node="n2")

    actions = list(plan(rs, World(rs, sibling, alone, doubled, neighbour)))

    assert actions[1:] == [Delete(doubled)]
