"""Pods that must go: driven out by taints, or cleared away because nobody else will; and events that are too old."""

from datetime import timedelta

import pytest
from make import NOW, a_condition, a_node, a_pod, an_object

from controllers.event_expiry import EventAge, is_expired
from controllers.nodes.pod_gc import cleared, doomed
from controllers.nodes.taint_eviction import plan, pods_on
from wherry.client.plan import CheckAgain, Delete, Event, SetStatus
from wherry.client.world import World

KEY = "node.kubernetes.io/unreachable"


def tainted(seconds_ago=0, **more):
    taint = {"key": KEY, "effect": "NoExecute", "timeAdded": NOW - timedelta(seconds=seconds_ago), **more}
    return a_node("n1", taints=[{key: value for key, value in taint.items() if value is not None}])


def planned(pod, node):
    return list(plan(pod, World(pod, node)))


def tolerant(seconds=None, **more):
    toleration = {"key": KEY, "operator": "Exists", "effect": "NoExecute", **more}
    if seconds is not None:
        toleration["tolerationSeconds"] = seconds
    more = {"created": NOW - timedelta(hours=1)}
    return a_pod("web", node="n1", tolerations=[toleration], **more)


def test_a_pod_that_does_not_tolerate_the_taint_goes_at_once_and_says_why():
    pod = a_pod("web", node="n1")

    event, told, delete = planned(pod, tainted())

    assert event == Event(pod, "TaintManagerEviction", "Marking for deletion Pod default/web")
    assert (told.obj.status.conditions[0].type, told.obj.status.conditions[0].reason) == (
        ("DisruptionTarget", "DeletionByTaintManager")
    )
    assert delete == Delete(pod)


def test_a_toleration_with_a_time_limit_counts_from_the_taint():
    assert planned(tolerant(300), tainted(100)) == [CheckAgain(200)]
    assert Delete(tolerant(300)) in planned(tolerant(300), tainted(300))


def test_a_pod_that_came_later_gets_its_whole_time():
    pod = tolerant(300)
    arrived = pod.with_status(conditions=a_node(conditions=[a_condition("PodScheduled")]).status.conditions)

    assert planned(arrived, tainted(1000)) == [CheckAgain(300)]


@pytest.mark.parametrize(
    "node",
    [a_node("n1"), tainted(effect="NoSchedule"), tainted(timeAdded=None)],
    ids=["no taint", "only for new pods", "not stamped yet"],
)
def test_tolerant_pods_stay_where_nothing_drives_them_out(node):
    assert planned(tolerant(0), node) == []


def test_a_toleration_without_limit_is_for_ever():
    assert planned(tolerant(), tainted(10_000)) == []


def test_a_toleration_of_another_value_does_not_count():
    assert Delete(tolerant(operator="Equal", value="x")) in planned(tolerant(operator="Equal", value="x"), tainted())


@pytest.mark.parametrize("pod", [a_pod(node="n1", phase="Failed"), a_pod(node="n1", deleted=True), a_pod()])
def test_pods_that_are_over_or_nowhere_are_left_alone(pod):
    assert planned(pod, tainted()) == []


def test_only_evicting_taints_wake_the_pods_of_a_node():
    world = World(a_pod("a", node="n1"), a_pod("b", node="n2"))

    assert (list(pods_on(tainted(), world)), list(pods_on(a_node("n1"), world))) == (["default/a"], [])


def swept(*objects, silence=1000.0, **more):
    return [pod.metadata.name for pod in doomed(World(*objects), lambda _: silence, **more)]


def test_pods_of_a_node_that_is_gone_are_cleared_away_after_the_quarantine():
    pods = a_pod("a", node="gone"), a_pod("b", node="n1"), a_pod("c")

    assert swept(*pods, a_node("n1")) == ["a"]
    assert swept(*pods, a_node("n1"), silence=39.0) == []


def test_a_pod_of_a_lost_node_fails_before_it_goes():
    pod = a_pod("a", node="gone", phase="Running")

    told, delete = cleared(pod, World(pod))

    assert (told.obj.status.phase, told.obj.status.conditions[0].reason) == ("Failed", "DeletionByPodGC")
    assert (type(told), delete) == (SetStatus, Delete(pod, grace_seconds=0))


def test_a_pod_that_ends_without_ever_having_had_a_node_goes():
    assert swept(a_pod("a", deleted=True)) == ["a"]


def test_of_too_many_finished_pods_the_oldest_go():
    pods = [a_pod(f"p{age}", phase="Succeeded", created=NOW - timedelta(hours=age)) for age in (1, 3, 2)]

    assert swept(*pods, most_finished=1) == ["p2", "p3"]


@pytest.mark.parametrize(
    ("fields", "expired"),
    [
        ({}, True),
        ({"lastTimestamp": "2025-12-31T23:30:00Z"}, False),
        ({"eventTime": "2025-12-31T23:30:00Z"}, False),
        ({"series": {"lastObservedTime": "2025-12-31T23:30:00Z"}}, False),
    ],
)
def test_an_event_is_kept_for_an_hour_after_it_last_happened(fields, expired):
    event = an_object(EventAge, created=NOW - timedelta(hours=2), fields=fields)

    assert is_expired(event, NOW) is expired
