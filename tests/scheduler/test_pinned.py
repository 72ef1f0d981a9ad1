"""Pods that name their node, as those of DaemonSets do, are placed without a look at the others."""

import pytest
from scheduling import a_node, a_view, all_plugins, snapshot_of, tainted

from scheduler.cycle.answers import Answers
from scheduler.cycle.pinned import named_node


def by_name(*names: str, operator="In"):
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": list(names)}]}


def a_pinned(name: str = "", *terms, **more):
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return a_view(name, affinity={"nodeAffinity": required}, **more)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([by_name("b")], "b"),
        ([by_name("b"), by_name("b")], "b"),
        ([by_name("a"), by_name("b")], ""),
        ([by_name("a", "b")], ""),
        ([by_name("b", operator="NotIn")], ""),
        ([by_name("b"), {"matchExpressions": [{"key": "x", "operator": "Exists"}]}], ""),
    ],
)
def test_which_node_a_pod_names(terms, expected):
    assert named_node(a_pinned("p", *terms)) == expected


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pinned("fits", by_name("b"), requests={"cpu": "1"}), "b"),
        (a_pinned("too large", by_name("b"), requests={"cpu": "9"}), None),
        (a_pinned("not tolerated", by_name("c")), None),
        (a_pinned("not there", by_name("z")), None),
        (a_view("anywhere"), None),
    ],
    ids=lambda value: value if value is None or isinstance(value, str) else value.metadata.name,
)
def test_it_goes_there_if_it_fits_and_is_explained_if_it_does_not(pod, expected):
    answers = Answers(snapshot_of(a_node("a"), a_node("b", cpu="4"), tainted("c", "x=y:NoSchedule")), all_plugins())

    choice = answers.on_named_node(pod)

    assert (choice and choice.node) == expected
    if named_node(pod):
        whole = answers.to(pod).best()
        assert (whole and whole.node) == expected


def test_what_it_takes_there_is_counted():
    snapshot = snapshot_of(a_node("a"), a_node("b", cpu="1"))
    answers, placed = Answers(snapshot, all_plugins()), []
    for pod in (a_pinned(f"p{number}", by_name("b"), requests={"cpu": "500m"}) for number in range(3)):
        choice = answers.on_named_node(pod)
        placed.append(choice is not None)
        if choice:
            snapshot.place(pod, choice.node)

    assert placed == [True, True, False]
