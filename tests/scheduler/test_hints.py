"""Which of the pods that fit nowhere are tried again when something happens on one node."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduling import a_node, a_view, all_plugins, snapshot_of, tainted
from test_scheduler_properties import nodes, specs

from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.hints import Hints
from scheduler.plugins.node_resources_fit import NodeResourcesFit
from scheduler.preemption.plan import Ground, preempt
from scheduler.queue import Queue, State

PLUGINS = all_plugins()


def waiting(snapshot, *pods, others_matter=False, plugins=PLUGINS, kind=Hints):
    """The queue of a scheduler that has tried these pods in vain."""
    hints = kind({"default-scheduler": plugins}, snapshot, lambda: others_matter)
    queue = Queue({plugin.name: plugin.retry_when for plugin in plugins}, hints=hints)
    for pod in pods:
        queue.add(pod, 0)
        queue.refused(queue.pop(0), plan(pod, snapshot.columns, plugins).rejected_by, 0)
    return queue


def woken(queue, *pods):
    return {pod.metadata.name for pod in pods if queue.state_of(pod.uid) is not State.UNSCHEDULABLE}


def a_full_cluster():
    """Nodes a and b of two cores; on a, two pods of one core."""
    there = [a_view(name, requests={"cpu": "1"}, node="a", priority=5) for name in ("one", "two")]
    return snapshot_of(a_node("a", cpu="2"), a_node("b", cpu="500m"), placed=[(pod, "a") for pod in there]), there


def gone(snapshot, queue, pod):
    snapshot.remove(pod.uid)
    queue.wake(pod.pod, None, now=100)


def test_a_pod_that_is_gone_wakes_those_for_whom_it_left_enough():
    snapshot, (one, two) = a_full_cluster()
    fits, too_big = a_view("fits", requests={"cpu": "1"}), a_view("too-big", requests={"cpu": "2"})
    queue = waiting(snapshot, fits, too_big)

    gone(snapshot, queue, one)
    assert woken(queue, fits, too_big) == {"fits"}

    gone(snapshot, queue, two)
    assert woken(queue, fits, too_big) == {"fits", "too-big"}


def test_who_could_evict_the_others_is_woken_and_so_are_all_where_room_may_come_from_elsewhere():
    snapshot, (one, _) = a_full_cluster()
    urgent, equal = (
        a_view("urgent", requests={"cpu": "2"}, priority=9),
        a_view("equal", requests={"cpu": "2"}, priority=5),
    )
    queue = waiting(snapshot, urgent, equal)
    gone(snapshot, queue, one)
    assert woken(queue, urgent, equal) == {"urgent"}

    snapshot, (one, _) = a_full_cluster()
    queue = waiting(snapshot, equal, others_matter=True)
    gone(snapshot, queue, one)
    assert woken(queue, equal) == {"equal"}


def test_a_pod_of_a_gang_is_woken_by_room_for_another_one():
    snapshot, (one, _) = a_full_cluster()
    member = a_view("member", requests={"cpu": "2"}, scheduling_group={"podGroupName": "gang"})
    queue = waiting(snapshot, member)

    gone(snapshot, queue, one)

    assert woken(queue, member) == {"member"}


NODE = a_node("n", cpu="1", labels={"disk": "ssd"})
CHANGES = {
    "grown": (a_node("n", cpu="2", labels={"disk": "ssd"}), {"big"}),
    "labelled": (a_node("n", cpu="1", labels={"disk": "ssd", "gpu": "yes"}), {"picky"}),
    "relabelled": (a_node("n", cpu="1", labels={"disk": "hdd"}), set()),
    "shrunk": (a_node("n", cpu="500m", labels={"disk": "ssd"}), set()),
    "tainted": (tainted("n", "k=v:NoSchedule", cpu="1", labels={"disk": "ssd", "gpu": "yes"}), {"picky"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_node_that_changes_wakes_those_that_it_now_suits(name):
    after, hopeful = CHANGES[name]
    big, picky = a_view("big", requests={"cpu": "2"}), a_view("picky", node_selector={"gpu": "yes"})
    snapshot = snapshot_of(NODE)
    queue = waiting(snapshot, big, picky)

    snapshot.set_node(after)
    queue.wake(NODE, after, now=100)

    assert woken(queue, big, picky) == hopeful


def test_a_plugin_that_comes_into_it_only_later_wakes_nobody_and_so_keeps_nobody_asleep():
    tainted_and_full = tainted("n", "k=v:NoSchedule", cpu="1")
    there, pod = a_view("there", requests={"cpu": "1"}, node="n"), a_view("pod", requests={"cpu": "1"})
    snapshot = snapshot_of(tainted_and_full, placed=[(there, "n")])
    queue = waiting(snapshot, pod)

    snapshot.set_node(a_node("n", cpu="1"))
    queue.wake(tainted_and_full, a_node("n", cpu="1"), now=100)

    assert woken(queue, pod) == {"pod"}


def test_a_new_node_wakes_those_that_it_suits():
    snapshot = snapshot_of(a_node("small", cpu="1"))
    big, huge = a_view("big", requests={"cpu": "2"}), a_view("huge", requests={"cpu": "64"})
    queue = waiting(snapshot, big, huge)

    snapshot.set_node(a_node("n", cpu="4"))
    queue.wake(None, a_node("n", cpu="4"), now=100)

    assert woken(queue, big, huge) == {"big"}


class Counting(NodeResourcesFit):
    """Remembers for whom it was asked what happened on a node."""

    asked = ()

    def rules_out(self, pod, spot):
        self.asked = (*self.asked, pod.metadata.name)
        return super().rules_out(pod, spot)


def test_of_thousands_that_look_alike_one_is_asked_about():
    snapshot, (one, _) = a_full_cluster()
    pods, fit = [a_view(f"pod-{number}", requests={"cpu": "1"}) for number in range(1000)], Counting()
    queue = waiting(snapshot, *pods, plugins=[fit])

    gone(snapshot, queue, one)

    assert (fit.asked, len(woken(queue, *pods))) == (("pod-0",), 1000)


def test_of_thousands_that_want_different_amounts_those_are_asked_about_for_whom_it_is_enough():
    snapshot, (one, _) = a_full_cluster()
    pods = [a_view(f"pod-{number}", requests={"cpu": f"{991 + number}m"}) for number in range(1000)]
    fit = Counting()
    queue = waiting(snapshot, *pods, plugins=[fit])

    gone(snapshot, queue, one)

    assert (fit.asked, woken(queue, *pods)) == (tuple(f"pod-{number}" for number in range(10)), set(fit.asked))


class AskedOfAll(Hints):
    """Do not say beforehand what pods want."""

    def least(self, pod, rejected_by):
        return {}


def has_a_way(pod, snapshot):
    """Whether the pod fits somewhere, or could if others made way."""
    decision = plan(pod, snapshot.columns, PLUGINS)
    return bool(decision.winner or preempt(pod, decision, Ground(snapshot, Panel(PLUGINS))).node)


PRIORITIES = st.sampled_from([0, 0, 5])
PODS = st.lists(st.tuples(specs(), PRIORITIES), min_size=3, max_size=9)


@settings(max_examples=100, deadline=None)
@given(nodes(), nodes(), PODS, st.integers(0, 100), st.sampled_from(["pod", "node", "new node"]))
def test_whoever_has_a_way_after_a_change_was_woken(cluster, others, specs_of, number, what):
    snapshot, there, stuck = snapshot_of(*cluster), [], []
    for index, (spec, priority) in enumerate(specs_of):
        pod = a_view(f"pod-{index}", priority=priority, **spec)
        winner = plan(pod, snapshot.columns, PLUGINS).winner
        if winner and index % 3:
            there.append(pod_on(spec, f"pod-{index}", winner, priority))
            snapshot.place(there[-1], winner)
        elif not has_a_way(pod, snapshot):
            stuck.append(pod)
    queue = waiting(snapshot, *stuck)

    before, after = happen(snapshot, what, cluster, others, there, number)
    queue.wake(before, after, now=100)

    assert {pod.metadata.name for pod in stuck if has_a_way(pod, snapshot)} <= woken(queue, *stuck)


@settings(max_examples=100, deadline=None)
@given(nodes(), nodes(), PODS, st.integers(0, 100), st.sampled_from(["pod", "node", "new node"]))
def test_it_is_the_same_whether_those_who_want_too_much_are_asked_about_or_not(cluster, others, specs_of, number, what):
    snapshot = snapshot_of(*cluster)
    there = [pod_on({"requests": {"cpu": "1"}}, "there", cluster[0].metadata.name, 3)]
    snapshot.place(there[0], cluster[0].metadata.name)
    pods = [a_view(f"pod-{index}", priority=priority, **spec) for index, (spec, priority) in enumerate(specs_of)]
    stuck = [pod for pod in pods if not plan(pod, snapshot.columns, PLUGINS).winner]
    queues = [waiting(snapshot, *stuck, kind=kind) for kind in (Hints, AskedOfAll)]

    before, after = happen(snapshot, what, cluster, others, there, number)
    for queue in queues:
        queue.wake(before, after, now=100)

    assert woken(queues[0], *stuck) == woken(queues[1], *stuck)


def pod_on(spec, name, node, priority):
    return a_view(name, node=node, priority=priority, **spec)


def happen(snapshot, what, cluster, others, there, number):
    """A pod goes, a node becomes another one, or there is a new one."""
    if what == "pod" and there:
        pod = there[number % len(there)]
        snapshot.remove(pod.uid)
        return pod.pod, None
    old, new = cluster[number % len(cluster)], others[number % len(others)]
    name = old.metadata.name if what == "node" else "new"
    after = type(new).read({**new.to_wire(), "metadata": {**new.to_wire()["metadata"], "name": name}})
    snapshot.set_node(after)
    return (old if what == "node" else None), after
