"""Who makes way for whom, and what is said when nobody does."""

from datetime import timedelta

from make import NOW, an_object
from scheduling import a_node, a_view, all_plugins, snapshot_of, tainted

from scheduler.cycle.answers import Answers
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.plan import Ground, Limits, preempt

PLUGINS = all_plugins()


def held(name, priority=0, cpu="1", minutes=10, **more):
    started = {"startTime": NOW - timedelta(minutes=minutes)}
    return a_view(name, priority=priority, requests={"cpu": cpu}, status=started, **more)


def urgent(cpu="2", **more):
    return a_view("urgent", priority=100, requests={"cpu": cpu}, **more)


def preemption(pod, *nodes, placed=(), budgets=(), limits=None):
    snapshot = snapshot_of(*nodes, placed=placed)
    decision = plan(pod, snapshot.columns, PLUGINS)
    assert not decision.winner
    return preempt(pod, decision, Ground(snapshot, Panel(PLUGINS), Budgets(budgets), limits or Limits()))


def going(found):
    return found.node, [victim.metadata.name for victim in found.victims]


def a_budget(allowed, disrupted=None, **more):
    status = {"disruptionsAllowed": allowed, "disruptedPods": disrupted or {}}
    return an_object("PodDisruptionBudget", "b", api_version="policy/v1", status=status, **more)


def test_no_more_go_than_must_and_the_important_ones_stay():
    placed = [(held("a", 10), "n"), (held("b", 30), "n"), (held("c", 20), "n"), (held("same", 100), "n")]

    assert going(preemption(urgent("2"), a_node("n", cpu="4"), placed=placed)) == ("n", ["c", "a"])


def test_of_equals_the_youngest_goes():
    placed = [(held("old", minutes=9), "n"), (held("young", minutes=1), "n")]

    assert going(preemption(urgent("1"), a_node("n", cpu="2"), placed=placed)) == ("n", ["young"])


def test_between_nodes_it_counts_first_how_important_the_victims_are_then_how_many_then_how_young():
    nodes = [a_node(name, cpu="2") for name in ("important", "many", "old", "young")]
    placed = [
        (held("boss", 20, "2"), "important"),
        *((held(f"m{index}", 10), "many") for index in range(2)),
        (held("o", 10, "2", minutes=9), "old"),
        (held("y", 10, "2", minutes=1), "young"),
    ]

    assert going(preemption(urgent(), *nodes, placed=placed)) == ("young", ["y"])


def test_a_budget_is_broken_only_where_there_is_no_other_way():
    nodes = [a_node("guarded", cpu="2"), a_node("important", cpu="2")]
    placed = [(held("web", 1, "2", labels={"app": "web"}), "guarded"), (held("boss", 50, "2"), "important")]
    budget = a_budget(0, selector={"matchLabels": {"app": "web"}})

    assert going(preemption(urgent(), *nodes, placed=placed, budgets=[budget])) == ("important", ["boss"])
    assert going(preemption(urgent(), nodes[0], placed=placed[:1], budgets=[budget])) == ("guarded", ["web"])
    assert going(preemption(urgent(), *nodes, placed=placed, budgets=[a_budget(1)])) == ("guarded", ["web"])


def test_who_is_evicted_already_costs_no_budget_and_other_namespaces_have_their_own():
    pods = [held("a", labels={"app": "web"}), held("b", labels={"app": "web"}), held("c", namespace="other")]

    assert Budgets([a_budget(0, {"a": NOW}, selector={})]).broken_by(pods) == {pods[1].uid}
    assert Budgets([a_budget(1, selector={})]).broken_by(pods) == {pods[1].uid}
    assert Budgets([a_budget(0)]).broken_by(pods) == frozenset()


def test_it_is_said_why_nobody_makes_way():
    nodes = [
        tainted("closed", "a=b:NoSchedule"),
        a_node("small", cpu="1"),
        a_node("full", cpu="2"),
        a_node("b", cpu="2"),
    ]
    placed = [(held("peer", 100), "full"), (held("peer2", 100), "b"), (held("low", 1), "b")]

    assert preemption(urgent(), *nodes, placed=placed).message == (
        "0/4 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_a_pod_that_keeps_the_other_off_makes_way_wherever_that_is_said():
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "loud"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    node = a_node("n", labels={"kubernetes.io/hostname": "n"})
    placed = [(held("loud", 1, labels={"app": "loud"}), "n"), (held("calm", 0), "n")]

    assert going(preemption(urgent(affinity=affinity), node, placed=placed)) == ("n", ["loud"])


def test_what_is_remembered_of_a_node_holds_until_its_pods_change():
    snapshot = snapshot_of(a_node("n", cpu="3"), placed=[(held(name, 1, minutes=5), "n") for name in ("a", "b", "c")])
    ground = Ground(snapshot, Panel(PLUGINS), memory={})

    def victims(pod):
        return going(preempt(pod, plan(pod, snapshot.columns, PLUGINS), ground))[1]

    assert (victims(urgent("1")), victims(urgent("2")), victims(urgent("1"))) == (["c"], ["b", "c"], ["c"])
    snapshot.remove(held("c").uid)
    snapshot.place(held("d", 9), "n")
    assert victims(urgent("1")) == ["b"]
    snapshot.place(held("a", 1, minutes=1), "n")
    assert victims(urgent("1")) == ["a"]


def test_what_is_hopeless_for_one_is_so_for_all_alike_until_something_changes():
    snapshot = snapshot_of(a_node("n", cpu="1"), placed=[(held("peer", 5), "n")])
    answers = Answers(snapshot, PLUGINS)

    def found(name, priority):
        pod = a_view(name, priority=priority, requests={"cpu": "1"})
        return going(preempt(pod, answers.to(pod).decision(pod), Ground(snapshot, answers.panel)))

    assert [found("a", 5), found("b", 5), found("c", 6)] == [("", []), ("", []), ("n", ["peer"])]
    snapshot.remove(held("peer").uid)
    snapshot.place(held("low", 1), "n")
    assert found("d", 5) == ("n", ["low"])


def test_a_large_cluster_is_not_searched_to_its_end():
    nodes = [a_node(f"n{index}", cpu="2") for index in range(5)]
    placed = [(held(f"p{index}", 50 - index, "2"), f"n{index}") for index in range(5)]

    limits = [Limits(percentage=40, absolute=1), Limits(percentage=10, absolute=0)]
    found = [preemption(urgent(), *nodes, placed=placed, limits=each) for each in limits]

    assert [going(each) for each in found] == [("n1", ["p1"]), ("n0", ["p0"])]
