"""Answers that are kept and shared by pods that look alike."""

from collections import Counter

import pytest
from scheduling import a_container, a_node, a_view, all_plugins, snapshot_of

from scheduler.cycle.answers import MOST_KEPT, Answers
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Answer
from scheduler.explaining.text import explain
from scheduler.framework import Plugin, normalize_to_highest
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from wherry.machinery.selectors import from_label_selector


def place_all(snapshot: Snapshot, *pods: PodView, plugins: list[Plugin] | None = None) -> list[str]:
    answers, winners = Answers(snapshot, plugins or all_plugins()), []
    for pod in pods:
        choice = answers.to(pod).best()
        winners.append(choice.node if choice else "")
        if choice:
            snapshot.place(pod, choice.node)
    return winners


def wishes_for(*labels: str):
    terms = [
        {"weight": 10 * 3**n, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}
        for n, key in enumerate(labels)
    ]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def test_a_thousand_alike_spread_evenly_and_fill_every_place():
    snapshot = snapshot_of(*(a_node(f"n{index}", cpu="10") for index in range(100)))

    winners = place_all(snapshot, *(a_view(f"p{index}", requests={"cpu": "1"}) for index in range(1005)))

    assert Counter(winners) == {f"n{index}": 10 for index in range(100)} | {"": 5}
    assert max(Counter(winners[:500]).values()) == 5


def test_two_kinds_of_pods_in_turn_are_spread_alike():
    snapshot = snapshot_of(*(a_node(f"n{index}", cpu="3") for index in range(10)))
    pods = [a_view(f"p{index}", requests={"cpu": "1" if index % 2 else "2"}) for index in range(20)]

    place_all(snapshot, *pods[::2], *pods[1::2])

    assert snapshot.columns.free("cpu").tolist() == [0] * 10


def test_of_pods_with_one_host_port_a_node_takes_one():
    containers = [a_container(ports=[{"containerPort": 80, "hostPort": 80}])]
    snapshot = snapshot_of(a_node("a"), a_node("b"))

    winners = place_all(snapshot, *(a_view(f"p{index}", containers=containers) for index in range(4)))

    assert sorted(winners) == ["", "", "a", "b"]


def test_scores_are_compared_anew_when_the_best_node_is_full():
    pods = [a_view(f"p{index}", affinity=wishes_for("some", "more"), requests={"cpu": "1"}) for index in range(3)]
    snapshot = snapshot_of(a_node("best", cpu="2", labels={"more": ""}), a_node("good", labels={"some": ""}))
    answers = Answers(snapshot, all_plugins())

    for pod in pods[:2]:
        snapshot.place(pod, answers.to(pod).best().node)
    kept, fresh = answers.to(pods[2]), Answers(snapshot, all_plugins()).to(pods[2])

    assert kept.best().node == fresh.best().node == "good"
    assert abs(kept.best().score - fresh.best().score) < 1e-5


def test_what_is_kept_of_a_workload_goes_by_the_nodes_that_there_are_now():
    hostname, kin = "kubernetes.io/hostname", from_label_selector({"matchLabels": {"app": "web"}})
    nodes = [a_node(f"n{index}", labels={hostname: f"n{index}"}, cpu="4") for index in range(9)]
    snapshot, plugins = snapshot_of(*nodes), all_plugins()
    answers = Answers(snapshot, plugins)
    pods = [a_view(f"p{n}", labels={"app": "web"}, requests={"cpu": "1"}).replace(kin=kin) for n in range(3)]
    snapshot.place(pods[0], "n0")
    answers.to(pods[1]).best()

    for number in range(MOST_KEPT):  # what the plugins say that do not look around is forgotten
        answers.to(a_view(f"other-{number}", requests={"cpu": f"{number + 1}m"}))
    for index in range(2, 9):
        snapshot.place(a_view(f"large-{index}", requests={"cpu": "4"}), f"n{index}")
    kept, fresh = answers.to(pods[2]).best(), Answer(pods[2], snapshot.columns, Panel(plugins)).best()

    assert (kept.node, kept.runner_up) == (fresh.node, fresh.runner_up)
    assert abs(kept.runner_up_score - fresh.runner_up_score) < 1e-5


class FewestPods(Plugin):
    """A score that compares nodes by what was placed there: no row can be told ahead of the others."""

    reads = ("requests",)

    def score(self, pod, nodes):
        return nodes.requested("pods").astype(float)

    def normalize(self, scores):
        return normalize_to_highest(scores, reverse=True)


def test_scores_that_compare_what_was_placed_are_asked_every_time():
    snapshot = snapshot_of(*(a_node(f"n{index}") for index in range(5)))

    winners = place_all(snapshot, *(a_view(f"p{index}") for index in range(50)), plugins=[FewestPods()])

    assert all(len(set(winners[start : start + 5])) == 5 for start in range(0, 50, 5))


def test_pods_that_differ_in_what_a_plugin_reads_do_not_share():
    class OnlyNamed(Plugin):
        """Says nothing of what it reads, and so sees every pod by itself."""

        def score(self, pod, nodes):
            return 100.0 * nodes.name.is_in([pod.metadata.name])

    snapshot = snapshot_of(*(a_node(f"n{index}") for index in range(3)))

    assert place_all(snapshot, *(a_view(f"n{index}") for index in range(3)), plugins=[OnlyNamed()]) == [
        "n0",
        "n1",
        "n2",
    ]


def test_what_is_prepared_while_nobody_waits_is_what_the_next_pod_is_told():
    snapshot = snapshot_of(a_node("a", cpu="2"), a_node("b", cpu="3"))
    answers, pods = Answers(snapshot, all_plugins()), [a_view(f"p{n}", requests={"cpu": "1"}) for n in range(5)]

    told, fresh = [], []
    for pod in pods:
        told.append(list(explain(answers.to(pod).decision(pod))))
        fresh.append(list(explain(Answers(snapshot, all_plugins()).to(pod).decision(pod))))
        choice = answers.to(pod).best()
        snapshot.place(pod, choice.node)
        answers.prepare(explains=True)

    assert told == fresh


class Curious(Plugin):
    """Lets pods go anywhere, and remembers for which it was asked."""

    reads = ("requests",)

    def __init__(self):
        super().__init__()
        self.asked = []

    def filter(self, pod, nodes):
        self.asked.append(pod.metadata.name)
        return iter(())


@pytest.mark.parametrize("explains", [True, False])
def test_who_comes_when_all_is_prepared_is_answered_without_a_question(explains):
    snapshot, curious, pod = snapshot_of(a_node("a"), a_node("b")), Curious(), a_view("next")
    answers = Answers(snapshot, [curious])
    for name in ("first", "second"):
        snapshot.place(a_view(name), answers.to(a_view(name)).best().node)
        answers.prepare(explains=explains)

    curious.asked.clear()
    answer = answers.to(pod)
    told = answer.decision(pod).winner if explains else answer.best().node

    assert (bool(told), curious.asked) == (True, [])
