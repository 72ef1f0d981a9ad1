"""Pods that are to be spread: where too many like them are already, and where few."""

import pytest
from scheduling import a_node, a_view, decide, fitting, tainted
from test_scores import scores_of

NO_SKEW = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{NO_SKEW} (missing required label)"
WEB = {"app": "web"}
ZONES = [a_node("a1", labels={"zone": "a"}), a_node("a2", labels={"zone": "a"}), a_node("b1", labels={"zone": "b"})]


def spreading(key="zone", skew=1, action="DoNotSchedule", **more):
    return {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": action,
        "labelSelector": {"matchLabels": WEB},
        **more,
    }


def a_web(*constraints, name="", labels=WEB, **more):
    return a_view(name, labels=labels, topologySpreadConstraints=list(constraints), **more)


def placed(*nodes, **more):
    return [(a_web(**more), node) for node in nodes]


@pytest.mark.parametrize(
    ("skew", "on", "expected"),
    [
        (1, [], {"a1", "a2", "b1"}),
        (1, ["a1"], {"b1"}),
        (2, ["a1"], {"a1", "a2", "b1"}),
        (2, ["a1", "a2"], {"b1"}),
        (1, ["a1", "b1"], {"a1", "a2", "b1"}),
    ],
)
def test_no_domain_has_more_than_the_emptiest_by_the_skew(skew, on, expected):
    assert fitting(a_web(spreading(skew=skew)), *ZONES, placed=placed(*on)) == expected


def test_all_constraints_must_hold():
    pod = a_web(spreading(skew=2), spreading("kubernetes.io/hostname"))

    assert fitting(pod, *ZONES, placed=placed("a1")) == {"a2", "b1"}


def test_a_pod_that_its_own_selector_does_not_select_adds_nothing():
    assert fitting(a_web(spreading(), labels={}), *ZONES, placed=placed("a1")) == {"a1", "a2", "b1"}


@pytest.mark.parametrize(
    "other",
    [
        {"namespace": "other"},
        {"labels": {"app": "db"}},
        {"deleted": True},
    ],
)
def test_pods_of_others_and_pods_that_go_do_not_count(other):
    assert fitting(a_web(spreading()), *ZONES, placed=placed("a1", **other)) == {"a1", "a2", "b1"}


def test_too_few_domains_count_as_one_that_is_empty():
    held = placed("a1", "b1")

    assert fitting(a_web(spreading(minDomains=3)), *ZONES, placed=held) == set()
    assert fitting(a_web(spreading(minDomains=2)), *ZONES, placed=held) == {"a1", "a2", "b1"}


def test_the_same_value_of_a_label_as_the_pod_has_narrows_the_selector():
    pod = a_web(spreading(matchLabelKeys=["version", "none"]), labels={**WEB, "version": "2"})

    assert fitting(pod, *ZONES, placed=placed("a1", labels={**WEB, "version": "1"})) == {"a1", "a2", "b1"}
    assert fitting(pod, *ZONES, placed=placed("a1", labels={**WEB, "version": "2"})) == {"b1"}


def test_nodes_that_the_pod_may_not_use_count_only_if_told_so():
    pod, told = (
        a_web(spreading(**more), nodeSelector={"zone": "a"}) for more in ({}, {"nodeAffinityPolicy": "Ignore"})
    )

    assert fitting(pod, *ZONES, placed=placed("a1")) == {"a1", "a2"}
    assert fitting(told, *ZONES, placed=placed("a1")) == set()


def test_tainted_nodes_count_unless_told_otherwise():
    nodes = [a_node("a", labels={"zone": "a"}), tainted("b", "t=:NoSchedule", labels={"zone": "b"})]

    assert fitting(a_web(spreading()), *nodes, placed=placed("a")) == set()
    assert fitting(a_web(spreading(nodeTaintsPolicy="Honor")), *nodes, placed=placed("a")) == {"a"}


def test_nodes_are_counted_once_under_the_first_reason():
    nodes = [*ZONES, a_node("none")]
    pod = a_web(spreading(), spreading("rack"), nodeSelector={})
    crowded = decide(a_web(spreading(minDomains=3)), *nodes, placed=placed("a1", "b1"))

    assert crowded.message == f"0/4 nodes are available: 1 {NO_LABEL}, 3 {NO_SKEW}."
    assert decide(pod, *nodes).message == f"0/4 nodes are available: 4 {NO_LABEL}."


def test_the_domain_with_the_fewest_is_best():
    pod = a_web(spreading(action="ScheduleAnyway"))
    nodes = [*ZONES, a_node("none")]

    assert scores_of("PodTopologySpread", pod, *nodes, placed=placed("a1", "a1", "b1")) == [50.0, 50.0, 100.0, 0.0]
    assert scores_of("PodTopologySpread", pod, *nodes) == [100.0, 100.0, 100.0, 0.0]


def test_hosts_and_zones_add_up_by_how_many_there_are():
    wishes = (spreading(action="ScheduleAnyway"), spreading("kubernetes.io/hostname", action="ScheduleAnyway"))

    # log(2 zones + 2) and log(3 hosts + 2): a1 1.386 + 1.609, a2 1.386.
    assert scores_of("PodTopologySpread", a_web(*wishes), *ZONES, placed=placed("a1")) == [0.0, 53.72, 100.0]


def test_pods_without_constraints_have_no_opinion():
    assert scores_of("PodTopologySpread", a_web(), *ZONES, placed=placed("a1")) == []
