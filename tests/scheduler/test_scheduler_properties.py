"""Whatever the cluster: the plan agrees with a slow oracle, over-commits nothing, leaves nothing pending that fits."""

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import fits, is_overcommitted
from scheduling import a_container, a_node, a_view, all_plugins, snapshot_of

from scheduler.cycle.answers import Answers
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Answer, plan

PLUGINS = all_plugins()
KEYS, VALUES = st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "x"])
EFFECTS = st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])
TAINTS = st.lists(st.fixed_dictionaries({"key": KEYS, "value": VALUES, "effect": EFFECTS}), max_size=2)


@st.composite
def nodes(draw):
    return [
        a_node(
            f"node-{index}",
            cpu=draw(st.sampled_from(["500m", "1", "2", "4"])),
            memory=draw(st.sampled_from(["1Gi", "2Gi"])),
            allocatable={
                "pods": draw(st.sampled_from(["2", "5"])),
                "nvidia.com/gpu": draw(st.sampled_from(["0", "1", "4"])),
            },
            labels=draw(st.dictionaries(KEYS, VALUES)),
            taints=draw(TAINTS),
            unschedulable=draw(st.sampled_from([False, False, False, True])),
        )
        for index in range(draw(st.integers(1, 6)))
    ]


@st.composite
def affinities(draw):
    def expression():
        operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]))
        values = {"Gt": ["1"], "Lt": ["2"]}.get(operator) or draw(st.lists(VALUES, min_size=1, max_size=2))
        return {"key": draw(KEYS), "operator": operator, "values": values if "xist" not in operator else []}

    terms = [{"matchExpressions": [expression() for _ in range(draw(st.integers(0, 2)))]} for _ in range(2)]
    wishes = [{"weight": weight, "preference": {"matchExpressions": [expression()]}} for weight in (2, 7)]
    kinds = {
        "required": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
        "preferred": {"preferredDuringSchedulingIgnoredDuringExecution": wishes},
    }
    return {"nodeAffinity": kinds[draw(st.sampled_from(sorted(kinds)))]}


@st.composite
def specs(draw):
    requests = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "cpu": st.sampled_from(["100m", "250m", "1"]),
                "memory": st.sampled_from(["256Mi", "1Gi"]),
                "nvidia.com/gpu": st.sampled_from(["1", "2"]),
            },
        )
    )
    ports = draw(st.sampled_from([[], [], [], [{"hostPort": 80, "containerPort": 80, "protocol": "TCP"}]]))
    toleration = st.fixed_dictionaries(
        {"operator": st.sampled_from(["Exists", "Equal"])}, optional={"key": KEYS, "value": VALUES}
    )
    return {
        "containers": [a_container(requests=requests, ports=ports)],
        "tolerations": draw(st.lists(toleration, max_size=1)),
        "node_selector": draw(st.sampled_from([{}, {}, {"a": "1"}])),
        "affinity": draw(st.one_of(st.just({}), affinities())),
    }


# A few templates, and which of them each pod in a row comes from.
WORKLOADS = st.lists(specs(), min_size=1, max_size=3).flatmap(
    lambda templates: st.lists(st.sampled_from(templates), min_size=1, max_size=25)
)


@settings(max_examples=200, deadline=None)
@given(nodes(), WORKLOADS)
def test_a_row_of_pods_is_placed_where_the_oracle_allows(cluster, workload):
    snapshot = snapshot_of(*cluster)
    answers = Answers(snapshot, PLUGINS)
    by_name = {node.metadata.name: node for node in cluster}

    for index, spec in enumerate(workload):
        pod = a_view(f"pod-{index}", **spec)
        held = {name: list(snapshot.pods_on(name).values()) for name in by_name}
        allowed = {name for name, node in by_name.items() if fits(pod, node, held[name])}
        choice = answers.to(pod).best()
        assert (choice is None) == (not allowed)
        if choice is not None:
            assert choice.node in allowed
            snapshot.place(pod, choice.node)

    assert not any(is_overcommitted(node, snapshot.pods_on(name).values()) for name, node in by_name.items())


@st.composite
def happenings(draw):
    kinds = st.sampled_from(["place", "place", "place", "remove", "node", "node gone", "plan"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 1000)), min_size=5, max_size=60))


@settings(max_examples=200, deadline=None)
@given(nodes(), st.lists(specs(), min_size=2, max_size=2), happenings())
def test_kept_answers_are_the_answers_asked_anew(cluster, templates, story):
    snapshot = snapshot_of(*cluster)
    answers = Answers(snapshot, PLUGINS)
    placed = []

    for step, (what, number) in enumerate(story):
        pod, node = a_view(f"pod-{step}", **templates[number % 2]), cluster[number % len(cluster)]
        answer = answers.to(pod)
        fresh = Answer(pod, snapshot.columns, Panel(PLUGINS))
        assert (answer.best() is None) == (fresh.best() is None)
        if best := answer.best():
            assert abs(best.score - fresh.best().score) < 1e-5
        if what == "plan":
            assert _told(answer.decision(pod)) == _told(fresh.decision(pod))
        elif what == "place" and best:
            snapshot.place(pod, best.node)
            placed.append(pod)
        elif what == "remove" and placed:
            snapshot.remove(placed.pop(number % len(placed)).uid)
        elif what == "node":
            snapshot.set_node(node)
        elif what == "node gone":
            snapshot.remove_node(node.metadata.name)


def _told(decision):
    refusals = sorted((refusal.plugin, refusal.reason, refusal.nodes.tolist()) for refusal in decision.refusals)
    scores = [(each.plugin, each.values[decision.feasible].round(6).tolist()) for each in decision.scores]
    return decision.message, decision.feasible.tolist(), refusals, scores


@settings(max_examples=100, deadline=None)
@given(nodes(), WORKLOADS)
def test_a_snapshot_built_anew_says_the_same(cluster, workload):
    snapshot = snapshot_of(*cluster)
    pods = [a_view(f"pod-{index}", **spec) for index, spec in enumerate(workload)]
    for pod in pods[:-1]:
        decision = plan(pod, snapshot.columns, PLUGINS)
        if decision.winner:
            snapshot.place(pod, decision.winner)

    # As after a restart: pods before nodes, in another order.
    placed = [(pod, snapshot.node_of(pod.uid)) for pod in reversed(pods) if snapshot.node_of(pod.uid)]
    again = snapshot_of(placed=placed)
    for node in cluster:
        again.set_node(node)

    assert _told(plan(pods[-1], again.columns, PLUGINS)) == _told(plan(pods[-1], snapshot.columns, PLUGINS))
