"""Which pod is next, and when a pod that found no node is tried again."""

import pytest
from make import a_node, a_pod
from scheduling import a_view

from scheduler.framework import load_plugins
from scheduler.queue import Queue, State


def a_queue(*pods, now=0.0):
    queue = Queue({name: plugin.retry_when for name, plugin in load_plugins().items()})
    for pod in pods:
        queue.add(pod, now)
    return queue


def refused_by(plugin, pod, now=0.0):
    queue = a_queue(pod)
    queue.refused(queue.pop(now), frozenset([plugin]) if plugin else frozenset(), now)
    return queue


def test_higher_priority_goes_first_and_among_equals_who_came_first():
    low, first, second = a_view("low"), a_view("first", priority=10), a_view("second", priority=10)

    queue = a_queue(low, first, second)

    assert [queue.pop(0), queue.pop(0), queue.pop(0), queue.pop(0)] == [first, second, low, None]


NODE = a_node("n")
RUNNING = a_pod("r", node="n", phase="Running")
CHANGES = {
    "node added": (None, NODE),
    "node grew": (NODE, a_node("n", cpu="8")),
    "node labelled": (NODE, a_node("n", labels={"new": ""})),
    "taint gone": (a_node("n", taints=[{"key": "k", "effect": "NoSchedule"}]), NODE),
    "uncordoned": (a_node("n", unschedulable=True), NODE),
    "heartbeat": (NODE, a_node("n", conditions=[{"type": "DiskPressure", "status": "False"}])),
    "node gone": (NODE, None),
    "pod gone": (RUNNING, None),
    "pod finished": (RUNNING, a_pod("r", node="n", phase="Succeeded")),
    "pod ready": (RUNNING, a_pod("r", node="n", ready=True)),
    "finished pod gone": (a_pod("r", node="n", phase="Failed"), None),
}


@pytest.mark.parametrize(
    ("plugin", "hopeful"),
    [
        ("NodeResourcesFit", {"node added", "node grew", "pod gone", "pod finished"}),
        ("NodePorts", {"node added", "pod gone", "pod finished"}),
        ("NodeAffinity", {"node added", "node labelled"}),
        ("TaintToleration", {"node added", "taint gone"}),
        ("NodeUnschedulable", {"node added", "uncordoned"}),
        ("", {"node added"}),
    ],
)
def test_only_changes_that_could_help_wake_a_pod(plugin, hopeful):
    woken = set()
    for name, (before, after) in CHANGES.items():
        queue = refused_by(plugin, a_view("p"))
        queue.wake(before, after, now=100.0)
        if queue.state_of(a_view("p").uid) is not State.UNSCHEDULABLE:
            woken.add(name)

    assert woken == hopeful


def test_pauses_double_from_one_second_to_ten():
    queue, pauses, now = a_queue(a_view("p")), [], 0.0
    for _ in range(6):
        queue.refused(queue.pop(now), frozenset(["NodePorts"]), now)
        queue.wake(None, NODE, now)
        pauses.append(queue.next_at() - now)
        now = queue.next_at()

    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_woken_pod_goes_before_its_pause_is_over_when_nobody_else_could():
    queue = refused_by("NodePorts", a_view("p"), now=0)
    queue.wake(None, NODE, now=0.1)
    queue.add(a_view("new"), now=0.1)

    assert [queue.pop(0.2).key, queue.pop(0.2).key, queue.pop(0.2)] == ["default/new", "default/p", None]


def test_after_three_early_attempts_a_pod_waits_until_its_pause_is_over_which_they_made_no_longer():
    queue = a_queue(a_view("p"))
    for _ in range(4):
        queue.refused(queue.pop(0), frozenset(["NodePorts"]), 0)
        queue.wake(None, NODE, 0)

    assert (queue.pop(0.9), queue.next_at(), queue.pop(1).key) == (None, 1, "default/p")


def test_those_that_fit_nowhere_are_tried_four_times_a_pause_however_much_changes():
    queue, tried = a_queue(*(a_view(f"big-{number}") for number in range(1000))), 0
    for tenth in range(1200):
        queue.wake(RUNNING, None, now=tenth / 10)
        while (pod := queue.pop(tenth / 10)) is not None:
            queue.refused(pod, frozenset(["NodeResourcesFit"]), tenth / 10)
            tried += 1

    pauses = 5 + 120 / 10
    assert tried <= 1000 * 4 * pauses


def test_of_those_that_pause_the_one_whose_pause_ends_first_goes_first():
    queue = a_queue(a_view("twice"))
    queue.refused(queue.pop(0), frozenset(["NodePorts"]), 0)
    queue.wake(None, NODE, 1)
    queue.refused(queue.pop(1), frozenset(["NodePorts"]), 1)
    queue.add(a_view("once"), 1)
    queue.refused(queue.pop(1), frozenset(["NodePorts"]), 1)

    queue.wake(None, NODE, 1)

    assert [queue.pop(1).key, queue.pop(1).key] == ["default/once", "default/twice"]


def test_a_pod_whose_pause_is_over_is_tried_at_once_when_woken():
    queue = refused_by("NodePorts", a_view("p"), now=0)

    queue.wake(None, NODE, now=1.5)

    assert queue.pop(1.5).key == "default/p"


def test_without_any_change_a_pod_is_tried_again_after_five_minutes():
    queue = refused_by("NodePorts", a_view("p"), now=7)

    assert (queue.next_at(), queue.pop(306.9), queue.pop(307).key) == (307, None, "default/p")


def test_a_gated_pod_waits_for_its_last_gate():
    queue = a_queue(a_view("p", scheduling_gates=[{"name": "a"}, {"name": "b"}]))

    queue.add(a_view("p", scheduling_gates=[{"name": "b"}]), now=1)
    assert (queue.pop(1), queue.state_of(a_view("p").uid)) == (None, State.GATED)
    queue.add(a_view("p"), now=2)
    assert queue.pop(2).key == "default/p"


def test_a_pod_that_asks_differently_is_tried_again():
    queue = refused_by("TaintToleration", a_view("p"))

    queue.add(a_view("p", status={"conditions": []}), now=5)
    assert queue.pop(5) is None
    queue.add(a_view("p", tolerations=[{"operator": "Exists"}]), now=5)
    assert queue.pop(5).spec.tolerations[0].operator == "Exists"


def test_a_pod_whose_claim_is_made_is_tried_again_although_the_claim_itself_came_before():
    queue = refused_by("DynamicResources", a_view("p"))
    made = {"resourceClaimStatuses": [{"name": "cards", "resourceClaimName": "p-cards-x7k2p"}]}

    queue.add(a_view("p", status=made), now=5)

    assert queue.pop(5).pod.status.resource_claim_statuses


def test_a_failed_binding_is_tried_again_after_a_pause():
    queue = a_queue(a_view("p"))
    queue.retry_later(queue.pop(0), now=0)

    assert (queue.pop(0.9), queue.pop(1.0).key) == (None, "default/p")


def test_the_pause_after_a_failed_binding_holds_although_another_pod_is_gone_that_failed_before():
    queue = a_queue(a_view("gone"), a_view("p"))
    queue.retry_later(queue.pop(0), now=0)
    queue.retry_later(queue.pop(0.5), now=0.5)

    queue.remove(a_view("gone").uid)

    assert (queue.pop(1.2), queue.pop(1.5).key) == (None, "default/p")


def test_who_was_not_woken_is_tried_after_five_minutes_behind_those_who_are_new():
    queue = refused_by("NodePorts", a_view("asleep"), now=0)
    queue.add(a_view("new"), now=300)

    assert queue.next_at() == 300
    assert [queue.pop(300).key, queue.pop(300).key, queue.pop(300)] == ["default/new", "default/asleep", None]


def test_a_removed_pod_never_comes_back():
    queue = a_queue(a_view("active"), a_view("flying"), a_view("waiting"))
    active = [queue.pop(0) for _ in range(3)]
    queue.refused(active[2], frozenset(["NodePorts"]), 0)
    queue.add(a_view("other"), 0)

    for pod in active:
        queue.remove(pod.uid)
    queue.retry_later(active[1], 0)
    queue.remove(a_view("other").uid)
    queue.wake(None, NODE, 400)

    assert (queue.pop(1000), len(queue), queue.next_at()) == (None, 0, None)
