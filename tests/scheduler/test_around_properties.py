"""Whatever the cluster: pods that look at each other are placed where the slow oracle allows, and scored as it says."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from make import to_json
from oracle import fits
from oracle_around import affinity_score, fits_around
from scheduling import a_node, a_view, all_plugins, snapshot_of

from scheduler.cycle.answers import Answers
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Answer
from wherry.machinery.selectors import from_label_selector

PLUGINS = all_plugins()
NAMESPACES = {"default": {"team": "x"}, "other": {}, "third": {"team": "y"}}
APPS, TIERS = st.sampled_from(["web", "db"]), st.sampled_from(["1", "2"])
LABELS = st.fixed_dictionaries({}, optional={"app": APPS, "tier": TIERS})
ZONE = "topology.kubernetes.io/zone"
KEYS = st.sampled_from(["zone", "zone", "rack", "kubernetes.io/hostname"])
LABEL_KEYS = st.sampled_from([[], [], ["tier"]])


@st.composite
def selectors(draw):
    expression = {"key": "tier", "operator": draw(st.sampled_from(["Exists", "DoesNotExist"]))}
    kinds = [{}, {"matchLabels": {"app": draw(APPS)}}, {"matchLabels": {"app": draw(APPS)}}]
    kinds += [
        {"matchExpressions": [expression]},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]},
    ]
    return draw(st.sampled_from(kinds))


@st.composite
def terms(draw):
    term = {"topologyKey": draw(KEYS), "labelSelector": draw(selectors())}
    where = draw(st.sampled_from(["own", "own", "named", "selected", "all"]))
    if where == "named":
        term["namespaces"] = [draw(st.sampled_from(sorted(NAMESPACES)))]
    elif where != "own":
        term["namespaceSelector"] = {} if where == "all" else {"matchLabels": {"team": "x"}}
    if draw(st.booleans()):
        term[draw(st.sampled_from(["matchLabelKeys", "mismatchLabelKeys"]))] = ["tier"]
    return term


@st.composite
def affinities(draw):
    affinity = {}
    for kind in draw(st.sets(st.sampled_from(["podAffinity", "podAntiAffinity"]))):
        required = draw(st.lists(terms(), max_size=2))
        wishes = [
            {"weight": weight, "podAffinityTerm": draw(terms())} for weight in draw(st.sampled_from([(), (3, 50)]))
        ]
        affinity[kind] = {
            "requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": wishes,
        }
    return affinity


@st.composite
def constraints(draw):
    action = draw(st.sampled_from(["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]))
    constraint = {
        "topologyKey": draw(KEYS),
        "maxSkew": draw(st.integers(1, 2)),
        "whenUnsatisfiable": action,
        "labelSelector": draw(selectors()),
        "matchLabelKeys": draw(LABEL_KEYS),
    }
    for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if draw(st.booleans()):
            constraint[policy] = draw(st.sampled_from(["Honor", "Ignore"]))
    if action == "DoNotSchedule" and draw(st.booleans()):
        constraint["minDomains"] = draw(st.integers(1, 4))
    return constraint


@st.composite
def pods(draw):
    kind = draw(st.sampled_from(["plain", "affinity", "spread", "both"]))
    return {
        "namespace": draw(st.sampled_from(["default", "default", "other", "third"])),
        "labels": draw(LABELS),
        "affinity": draw(affinities()) if kind in ("affinity", "both") else {},
        "topologySpreadConstraints": draw(st.lists(constraints(), max_size=2)) if kind in ("spread", "both") else [],
        "nodeSelector": draw(st.sampled_from([{}, {}, {"zone": "a"}])),
        "requests": {"cpu": draw(st.sampled_from(["100m", "1"]))},
    }


@st.composite
def nodes(draw):
    labels = st.fixed_dictionaries(
        {}, optional={"zone": st.sampled_from(["a", "b", "c"]), "rack": st.sampled_from(["1", "2"])}
    )
    taint = {"key": "t", "value": "", "effect": "NoSchedule"}
    return [
        a_node(f"n{index}", labels=draw(labels), taints=draw(st.sampled_from([[], [], [taint]])))
        for index in range(draw(st.integers(1, 6)))
    ]


@st.composite
def zoned_nodes(draw):
    zones = st.sampled_from([{}, {ZONE: "a"}, {ZONE: "a"}, {ZONE: "b"}])
    return [
        a_node(node.metadata.name, labels=draw(zones), taints=to_json(node)["spec"].get("taints", []))
        for node in draw(nodes())
    ]


def a_cluster(nodes):
    snapshot = snapshot_of(*nodes)
    for name, labels in NAMESPACES.items():
        snapshot.set_namespace(name, labels)
    return snapshot


STORIES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["place"] * 4 + ["remove", "going", "moved"])), max_size=20
)
WORKLOADS = st.tuples(st.lists(pods(), min_size=3, max_size=3), STORIES)


def happen(what, snapshot, placed, cluster, step):
    """Something else than a placement by the scheduler."""
    if what == "moved":
        node = cluster[step % len(cluster)]
        snapshot.set_node(a_node(node.metadata.name, labels=cluster[0].metadata.labels))
        cluster[step % len(cluster)] = a_node(node.metadata.name, labels=cluster[0].metadata.labels)
    elif placed:
        uid, (name, node, spec) = placed.popitem()
        if what == "remove":
            snapshot.remove(uid)
        else:
            snapshot.place(a_view(name, deleted=True, **spec), node)


# The last one looks like the first, which what was placed between them concerns, and which it does not.
_PLAIN = {"labels": {}, "affinity": {}, "topologySpreadConstraints": [], "nodeSelector": {}, "requests": {"cpu": "1"}}
_PREFERRED = {"weight": 3, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}}}
_FRIENDLY = {**_PLAIN, "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [_PREFERRED]}}}
_THREE = [{"namespace": "default", **_PLAIN}, {"namespace": "default", **_FRIENDLY}, {"namespace": "other", **_PLAIN}]


@settings(max_examples=100, deadline=None)
@given(nodes(), WORKLOADS)
@example([a_node("n0", labels={"zone": "a"})], (_THREE, [(0, "place"), (1, "place"), (2, "place")]))
def test_pods_go_where_the_oracle_allows_by_kept_answers_as_by_fresh_ones(cluster, workload):
    templates, story = workload
    snapshot, placed = a_cluster(cluster), {}
    answers = Answers(snapshot, PLUGINS)

    for step, (number, what) in enumerate(story):
        pod = a_view(f"p{step}", **templates[number])
        held = [(node, list(snapshot.pods_on(node.metadata.name).values())) for node in cluster]
        allowed = {
            node.metadata.name
            for node, others in held
            if fits(pod, node, others) and fits_around(pod, node, held, NAMESPACES)
        }
        choice, fresh = answers.to(pod).best(), Answer(pod, snapshot.columns, Panel(PLUGINS))
        told = fresh.decision(pod)
        assert {name for name, fit in zip(told.nodes, told.feasible, strict=True) if fit} == allowed
        assert (choice is None) == (not allowed)
        if choice:
            assert abs(choice.score - fresh.best().score) < 1e-5
        assert answers.to(pod).decision(pod).message == told.message
        if what == "place" and choice:
            snapshot.place(pod, choice.node)
            placed[pod.uid] = pod.metadata.name, choice.node, templates[number]
        elif what != "place":
            happen(what, snapshot, placed, cluster, step)


@settings(max_examples=100, deadline=None)
@given(zoned_nodes(), st.lists(st.sampled_from([{"app": "web"}, {"app": "db"}]), min_size=3, max_size=3), STORIES)
def test_pods_of_workloads_go_by_kept_answers_where_fresh_ones_say(cluster, labels, story):
    snapshot, placed = a_cluster(cluster), {}
    answers = Answers(snapshot, PLUGINS)

    for step, (number, what) in enumerate(story):
        spec = {"labels": labels[number], "requests": {"cpu": ("100m", "1")[number % 2]}}
        kin = from_label_selector({"matchLabels": labels[number]})
        pod = a_view(f"p{step}", **spec).replace(kin=kin)
        choice, fresh = answers.to(pod).best(), Answer(pod, snapshot.columns, Panel(PLUGINS))
        assert (choice is None) == (fresh.best() is None)
        if choice:
            assert abs(choice.score - fresh.best().score) < 1e-5
            assert answers.to(pod).decision(pod).winner == choice.node
        if what == "place" and choice:
            snapshot.place(pod, choice.node)
            placed[pod.uid] = pod.metadata.name, choice.node, spec
        elif what != "place":
            happen(what, snapshot, placed, cluster, step)


@settings(max_examples=100, deadline=None)
@given(nodes(), st.lists(st.tuples(pods(), st.integers(0, 5)), max_size=6), pods())
def test_pods_around_speak_for_a_node_as_the_oracle_says(cluster, others, spec):
    snapshot, pod = a_cluster(cluster), a_view("p", **spec)
    for index, (other, number) in enumerate(others):
        snapshot.place(a_view(f"o{index}", **other), cluster[number % len(cluster)].metadata.name)
    held = [(node, list(snapshot.pods_on(node.metadata.name).values())) for node in cluster]
    plugin = next(plugin for plugin in PLUGINS if plugin.name == "InterPodAffinity")

    score = plugin.score(pod, snapshot.columns)

    expected = [affinity_score(pod, node, held, NAMESPACES) for node in cluster]
    assert ([0] * len(cluster) if score is None else score.tolist()) == expected
