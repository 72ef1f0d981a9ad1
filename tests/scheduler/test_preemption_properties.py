"""Whatever the cluster: who makes way is whom the slow and obvious preemption sends away, and the pod then fits."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from make import NOW, an_object
from oracle_preemption import fits_there, preempted, without
from scheduling import a_container, a_node, a_view, all_plugins, snapshot_of

from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.plan import Ground, preempt

PLUGINS = all_plugins()
HOST = "kubernetes.io/hostname"
APPS = st.sampled_from(["web", "db"])


def away_from(app):
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


@st.composite
def pods(draw, name, priorities):
    requests = {"cpu": draw(st.sampled_from(["500m", "1", "2"])), "memory": draw(st.sampled_from(["256Mi", "1Gi"]))}
    port = draw(st.sampled_from([0, 0, 0, 80]))
    ports = [{"hostPort": port, "containerPort": port, "protocol": "TCP"}] if port else []
    return a_view(
        name,
        labels={"app": draw(APPS)},
        priority=draw(priorities),
        containers=[a_container(requests=requests, ports=ports)],
        affinity=draw(st.one_of(st.just({}), st.just({}), st.just({}), APPS.map(away_from))),
        status={"startTime": NOW - timedelta(minutes=draw(st.integers(0, 4)))},
    )


@st.composite
def clusters(draw):
    cluster = []
    for index in range(draw(st.integers(1, 4))):
        name = f"node-{index}"
        node = a_node(name, cpu=draw(st.sampled_from(["2", "3", "4"])), memory="4Gi", labels={HOST: name})
        held = draw(st.lists(st.integers(), max_size=4))
        views = [draw(pods(f"{name}-{number}", st.integers(-5, 5))) for number in range(len(held))]
        cluster.append((node, []))
        for view in views:
            if fits_there(view, node, cluster):
                cluster[-1][1].append(view)
    return cluster


@st.composite
def budgets(draw):
    return [
        an_object(
            "PodDisruptionBudget",
            f"budget-{index}",
            api_version="policy/v1",
            selector={"matchLabels": {"app": draw(APPS)}},
            status={"disruptionsAllowed": draw(st.integers(0, 2))},
        )
        for index in range(draw(st.integers(0, 2)))
    ]


@settings(max_examples=1000, deadline=None)
@given(clusters(), pods("urgent", st.integers(0, 6)), budgets())
def test_victims_are_those_of_the_slow_and_obvious_preemption(cluster, pod, some_budgets):
    snapshot = snapshot_of(
        *(node for node, _ in cluster), placed=[(held, node.metadata.name) for node, pods in cluster for held in pods]
    )
    decision = plan(pod, snapshot.columns, PLUGINS)
    if decision.winner:
        return
    before = {node.metadata.name: set(snapshot.pods_on(node.metadata.name)) for node, _ in cluster}

    ground = Ground(snapshot, Panel(PLUGINS), Budgets(some_budgets), memory={})
    found = preempt(pod, decision, ground)
    assert preempt(pod, decision, ground) == found

    expected = preempted(pod, cluster, some_budgets)
    assert before == {name: set(snapshot.pods_on(name)) for name in before}
    if expected is None:
        assert found.node == ""
        assert found.message.startswith(f"0/{len(cluster)} nodes are available: ")
        return
    best, name, victims = expected
    assert ([each.key for each in found.victims], found.node) == ([each.key for each in victims], name), best
    node = next(node for node, _ in cluster if node.metadata.name == name)
    assert all(each.spec.priority < pod.spec.priority for each in found.victims)
    assert fits_there(pod, node, without(cluster, found.victims))
    for spared in found.victims:
        assert not fits_there(pod, node, without(cluster, [each for each in found.victims if each is not spared]))
