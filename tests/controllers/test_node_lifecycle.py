"""The death of nodes: conditions, taints, pods; and when the fault is likely our own."""

from datetime import timedelta

import pytest
from make import NOW, a_condition, a_node, a_pod

from controllers.nodes.node_lifecycle import plan
from controllers.parts.node_health import Health, Turns
from wherry.api.core.node import Taint
from wherry.client.plan import CheckAgain, Event, SetStatus, Update
from wherry.client.world import World

GRACE = 50.0


def planned(node, *others, **silent):
    """The plan for a node in a cluster; `silent` has seconds of silence by node, 1 for those not named."""
    return list(plan(node, World(node, *others), lambda name: silent.get(name, 1.0), GRACE, Turns()))


def taints_of(actions):
    patches = [action.patch["spec"]["taints"] for action in actions if isinstance(action, Update)]
    return [(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in patches[0] or ()]


def a_taint(key, effect, **more):
    return {"key": f"node.kubernetes.io/{key}", "effect": effect, **more}


def test_a_healthy_node_is_looked_at_again_when_its_grace_ends():
    assert planned(a_node("n1")) == [CheckAgain(GRACE - 1)]


def test_a_healthy_new_node_loses_its_first_taint_at_once():
    node = a_node("n1", taints=[a_taint("not-ready", "NoSchedule"), {"key": "mine", "effect": "NoSchedule"}])

    (update, _) = planned(node)

    assert update == Update(node, {"spec": {"taints": [{"key": "mine", "effect": "NoSchedule"}]}})


def test_a_silent_node_becomes_unknown_and_unreachable():
    node = a_node("n1", ready_since=NOW - timedelta(hours=1))

    told, event, tainted, again = planned(node, a_node("n2"), n1=GRACE)

    ready, memory, *_ = told.obj.status.conditions
    assert (ready.status, ready.reason, ready.message, ready.last_transition_time) == (
        ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", NOW)
    )
    assert (memory.status, memory.reason) == ("Unknown", "NodeStatusNeverUpdated")
    assert event == Event(node, "NodeNotReady", "Node n1 status is now: NodeNotReady")
    assert taints_of([tainted]) == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
    assert again == CheckAgain(5.0)


def test_a_node_that_says_it_is_not_ready_is_tainted_so():
    assert taints_of(planned(a_node("n1", ready=False), a_node("n2"))) == [
        ("not-ready", "NoExecute"),
        ("not-ready", "NoSchedule"),
    ]


@pytest.mark.parametrize(
    ("condition", "taint"),
    [
        ("MemoryPressure", "memory-pressure"),
        ("DiskPressure", "disk-pressure"),
        ("PIDPressure", "pid-pressure"),
        ("NetworkUnavailable", "network-unavailable"),
    ],
)
def test_pressure_keeps_new_pods_away(condition, taint):
    assert taints_of(planned(a_node("n1", conditions=[a_condition(condition)]))) == [(taint, "NoSchedule")]


def test_a_cordoned_node_is_tainted():
    assert taints_of(planned(a_node("n1", unschedulable=True))) == [("unschedulable", "NoSchedule")]


def test_a_node_without_any_condition_is_kept_free_until_it_reports():
    node = a_node("n1", status={"conditions": []})

    assert taints_of(planned(node)) == [("not-ready", "NoSchedule")]


def test_a_taint_that_stays_keeps_its_time():
    since = NOW - timedelta(minutes=3)
    marks = [a_taint("unreachable", effect, timeAdded=since) for effect in ("NoExecute", "NoSchedule")]
    node = a_node("n1", ready="Unknown", taints=marks)

    assert not [action for action in planned(node, a_node("n2"), n1=90) if isinstance(action, Update)]


def test_an_evicting_taint_of_somebody_else_gets_a_time():
    node = a_node("n1", taints=[{"key": "mine", "effect": "NoExecute"}])

    (update, _) = planned(node)

    assert Taint.read(update.patch["spec"]["taints"][0]).time_added == NOW


def test_when_everyone_is_silent_nobody_is_evicted():
    nodes = [a_node(f"n{number}") for number in range(5)]
    silent = {"n0": GRACE, "n1": 48, "n2": 45, "n3": 42, "n4": 41}

    assert taints_of(planned(*nodes, **silent)) == [("unreachable", "NoSchedule")]


def test_when_everyone_fell_silent_marks_for_eviction_are_taken_back():
    marks = [a_taint("unreachable", effect) for effect in ("NoExecute", "NoSchedule")]
    node = a_node("n1", ready="Unknown", taints=marks)

    assert taints_of(planned(node, a_node("n2"), n1=90, n2=40)) == [("unreachable", "NoSchedule")]


ZONE = "topology.kubernetes.io/zone"


def turn(node, *nodes, now=NOW):
    """In how many seconds a node may be marked for eviction."""
    return Health(nodes, lambda _: 1.0, GRACE, now, Turns()).seconds_until_eviction(node)


def some_nodes(up, down, **more):
    return [a_node(f"n{number:03}", ready=number >= down, **more) for number in range(up + down)]


def test_when_most_of_a_small_zone_is_down_no_more_are_evicted():
    nodes = some_nodes(2, 3)

    assert turn(nodes[0], *nodes) is None
    assert turn(nodes[0], *nodes, a_node("z")) == 0


def test_of_a_large_zone_that_is_partly_down_one_node_is_evicted_in_a_hundred_seconds():
    small, large = some_nodes(20, 30), some_nodes(21, 30)

    assert turn(small[0], *small) is None
    assert [turn(node, *large) for node in large[:3]] == [0, 100, 200]


def test_nodes_are_evicted_ten_seconds_apart():
    first, second, third, *rest = some_nodes(7, 3)
    marked = a_node("n000", ready=False, taints=[a_taint("not-ready", "NoExecute", timeAdded=NOW)])
    later = NOW + timedelta(seconds=4)

    assert [turn(node, first, second, third, *rest) for node in (first, second, third)] == [0, 10, 20]
    assert [turn(node, marked, second, third, *rest, now=later) for node in (second, third)] == [6, 16]


def test_zones_are_judged_apart_and_one_that_is_all_down_is_evicted():
    dead = some_nodes(0, 5, labels={ZONE: "a"})
    marked = a_node("b0", ready=False, labels={ZONE: "b"}, taints=[a_taint("not-ready", "NoExecute", timeAdded=NOW)])
    other = a_node("b1", labels={ZONE: "b"})

    assert [turn(node, *dead, marked, other) for node in dead[:2]] == [0, 10]
    assert turn(dead[0], *dead) is None


def test_a_node_whose_turn_comes_is_looked_at_again_then():
    marked = a_node("n0", ready=False, taints=[a_taint("not-ready", "NoExecute", timeAdded=NOW - timedelta(seconds=7))])
    node = a_node("n1", ready=False)

    actions = planned(node, marked, a_node("n2"))

    assert taints_of(actions) == [("not-ready", "NoSchedule")]
    assert actions[-1] == CheckAgain(3.0)


def test_pods_of_a_silent_node_count_as_not_ready():
    node = a_node("n1", ready="Unknown")
    pod, elsewhere = a_pod(node="n1", ready=True), a_pod(node="n2", ready=True)

    told = [action for action in planned(node, a_node("n2"), pod, elsewhere, n1=90) if isinstance(action, SetStatus)]

    assert [(action.obj.key, action.obj.status.ready) for action in told[1:]] == [(pod.key, False)]


def test_pods_that_became_ready_after_their_node_was_not_are_their_kubelets_affair():
    node = a_node("n1", ready=False, ready_since=NOW)
    before = a_pod("a", node="n1", ready=True, ready_since=NOW - timedelta(hours=1))
    after = a_pod("b", node="n1", ready=True, ready_since=NOW + timedelta(seconds=5))

    told = [action.obj.key for action in planned(node, before, after) if isinstance(action, SetStatus)]

    assert told == [before.key]


def test_what_is_unknown_already_is_not_written_again():
    conditions = [a_condition(type, "Unknown") for type in ("MemoryPressure", "DiskPressure", "PIDPressure")]
    marks = [a_taint("unreachable", effect, timeAdded=NOW) for effect in ("NoExecute", "NoSchedule")]
    node = a_node("n1", ready="Unknown", conditions=conditions, taints=marks)

    assert planned(node, a_node("n2"), n1=500) == [CheckAgain(5.0)]


def test_a_turn_that_was_just_taken_counts_though_no_copy_shows_it_yet():
    first, second = a_node("a", ready="Unknown"), a_node("b", ready="Unknown")
    turns = Turns()

    turns.take(second, NOW)

    health = Health([first, second, *some_nodes(up=3, down=0)], lambda _: 1.0, GRACE, NOW, turns)
    assert health.seconds_until_eviction(first) == 10.0
