"""Pods that want to be near to others, or away from them."""

import pytest
from scheduling import a_node, a_view, all_plugins, decide, fitting, snapshot_of
from test_scores import scores_of

from scheduler.cycle.plan import plan
from scheduler.plugins.inter_pod_affinity import InterPodAffinity, InterPodAffinityArgs

WEB, DB = {"app": "web"}, {"app": "db"}
NODES = [
    a_node("a1", labels={"zone": "a"}),
    a_node("a2", labels={"zone": "a"}),
    a_node("b1", labels={"zone": "b"}),
    a_node("none"),
]
NAMES = {"a1", "a2", "b1", "none"}


def term(labels=WEB, key="zone", **more):
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}, **more}


def requiring(*terms, kind="podAffinity", **more):
    return a_view(affinity={kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}, **more)


def wishing(weight, *terms, kind="podAffinity", **more):
    wishes = [{"weight": weight, "podAffinityTerm": each} for each in terms]
    return a_view(affinity={kind: {"preferredDuringSchedulingIgnoredDuringExecution": wishes}}, **more)


def avoiding(*terms, **more):
    return requiring(*terms, kind="podAntiAffinity", **more)


def on(node, labels=WEB, **more):
    return a_view(labels=labels, **more), node


def test_near_means_the_same_value_of_the_label():
    assert fitting(requiring(term()), *NODES, placed=[on("a1")]) == {"a1", "a2"}
    assert fitting(requiring(term(key="kubernetes.io/hostname")), *NODES, placed=[on("a1")]) == {"a1"}
    assert fitting(requiring(term()), *NODES) == set()


def test_a_pod_is_near_only_to_pods_that_all_its_terms_want():
    both = on("b1", {**WEB, **{"tier": "1"}})
    pod = requiring(term(), term({"tier": "1"}, key="kubernetes.io/hostname"))

    assert fitting(pod, *NODES, placed=[on("a1"), on("a1", {"tier": "1"})]) == set()
    assert fitting(pod, *NODES, placed=[on("a1"), both]) == {"b1"}


def test_the_first_of_pods_that_want_each_other_may_go_wherever_the_label_is():
    assert fitting(requiring(term(), labels=WEB), *NODES) == {"a1", "a2", "b1"}
    assert fitting(requiring(term(), labels=DB), *NODES) == set()
    assert fitting(requiring(term(), labels=WEB), *NODES, placed=[on("b1")]) == {"b1"}


def test_away_means_another_value_of_the_label_or_none():
    assert fitting(avoiding(term()), *NODES, placed=[on("a1")]) == {"b1", "none"}
    assert fitting(avoiding(term(), term(DB)), *NODES, placed=[on("a1"), on("b1", DB)]) == {"none"}


def test_who_wants_to_be_alone_is_left_alone():
    hermit = avoiding(term(), labels=DB)

    assert fitting(a_view(labels=WEB), *NODES, placed=[(hermit, "a1")]) == {"b1", "none"}
    assert fitting(a_view(labels=DB), *NODES, placed=[(hermit, "a1")]) == NAMES


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, {"b1", "none"}),
        ({"namespaces": ["other"]}, NAMES - {"b1"}),
        ({"namespaces": ["default", "other"]}, {"none"}),
        ({"namespaceSelector": {}}, {"none"}),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, NAMES - {"b1"}),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}, "namespaces": ["default"]}, {"none"}),
    ],
)
def test_terms_speak_of_pods_of_the_own_namespace_or_of_those_that_are_named(where, expected):
    snapshot = snapshot_of(*NODES, placed=[on("a1"), on("b1", namespace="other")])
    snapshot.set_namespace("other", {"team": "x"})

    decision = plan(avoiding(term(**where)), snapshot.columns, all_plugins())

    assert {name for name, fits in zip(decision.nodes, decision.feasible, strict=True) if fits} == expected


def test_the_pods_own_labels_narrow_a_term():
    placed = [on("a1", {**WEB, "hash": "1"}), on("b1", {**WEB, "hash": "2"})]

    same, other = term(matchLabelKeys=["hash"]), term(mismatchLabelKeys=["hash"])
    assert fitting(avoiding(same, labels={"hash": "1"}), *NODES, placed=placed) == {"b1", "none"}
    assert fitting(avoiding(other, labels={"hash": "1"}), *NODES, placed=placed) == {"a1", "a2", "none"}


def test_a_node_is_counted_under_the_first_of_the_reasons():
    hermit = on("a1", DB)[0], "b1"
    lonely = avoiding(term({"x": "y"}), labels=DB)
    affinity = {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term()]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(DB)]},
    }
    pod = a_view(labels={"x": "y"}, affinity=affinity)
    placed = [on("a1"), on("a1", DB), on("b1"), hermit, (lonely, "b1")]

    assert decide(pod, *NODES, placed=placed).message == (
        "0/4 nodes are available: 1 node(s) didn't match pod affinity rules, "
        "3 node(s) didn't match pod anti-affinity rules."
    )


def test_the_neighbours_refusal_is_told_in_kubernetes_words():
    hermit = avoiding(term(key="kubernetes.io/hostname"))

    assert decide(a_view(labels=WEB), NODES[0], placed=[(hermit, "a1")]).message == (
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_wishes_count_by_their_weight_for_each_pod():
    placed = [on("a1"), on("a2"), on("b1")]
    against = wishing(10, term(), kind="podAntiAffinity")

    assert scores_of("InterPodAffinity", wishing(10, term()), *NODES, placed=placed) == [100.0, 100.0, 50.0, 0.0]
    assert scores_of("InterPodAffinity", against, *NODES, placed=placed) == [0.0, 0.0, 50.0, 100.0]


def test_what_placed_pods_wish_or_require_counts_for_newcomers():
    placed = [(wishing(4, term()), "a1"), (requiring(term()), "b1")]

    assert scores_of("InterPodAffinity", a_view(labels=WEB), *NODES, placed=placed) == [100.0, 100.0, 25.0, 0.0]
    assert scores_of("InterPodAffinity", a_view(labels=DB), *NODES, placed=placed) == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"hardPodAffinityWeight": 0}, [4.0, 4.0, 0.0, 0.0]),
        ({"hardPodAffinityWeight": 9}, [4.0, 4.0, 9.0, 0.0]),
        ({"ignorePreferredTermsOfExistingPods": True}, None),
    ],
)
def test_what_placed_pods_say_weighs_as_configured(args, expected):
    snapshot = snapshot_of(*NODES, placed=[(wishing(4, term()), "a1"), (requiring(term()), "b1")])

    score = InterPodAffinity(InterPodAffinityArgs.model_validate(args)).score(a_view(labels=WEB), snapshot.columns)

    assert (None if score is None else score.tolist()) == expected
