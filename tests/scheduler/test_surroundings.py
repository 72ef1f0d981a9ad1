"""Answers of pods that look around are kept as others are, and pods are woken by what happens elsewhere."""

import asyncio
from collections import Counter

import pytest
from binding_api import BindingApi
from make import a_namespace, a_node, a_pod
from scheduling import a_view, all_plugins, snapshot_of
from test_answers import place_all
from test_scheduler_runner import placement, scheduling

from scheduler.cycle.answers import Answers
from wherry.sim.virtual_time import in_virtual_time

WEB = {"app": "web"}
ZONES = [a_node(f"n{index}", labels={"zone": f"z{index % 3}"}) for index in range(9)]
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": WEB},
}


def term(key="kubernetes.io/hostname", **more):
    return {"topologyKey": key, "labelSelector": {"matchLabels": WEB}, **more}


def requiring(kind, *terms):
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def test_of_pods_that_avoid_each_other_a_node_takes_one():
    pods = [a_view(f"p{index}", labels=WEB, affinity=requiring("podAntiAffinity", term())) for index in range(10)]

    winners = place_all(snapshot_of(*ZONES), *pods)

    assert Counter(winners) == {f"n{index}": 1 for index in range(9)} | {"": 1}


def test_pods_that_want_each_other_stay_where_the_first_went():
    pods = [a_view(f"p{index}", labels=WEB, affinity=requiring("podAffinity", term("zone"))) for index in range(30)]

    winners = place_all(snapshot_of(*ZONES), *pods)

    assert len({int(winner[1:]) % 3 for winner in winners}) == 1


def test_spread_pods_go_round_the_zones():
    pods = [a_view(f"p{index}", labels=WEB, topologySpreadConstraints=[SPREAD]) for index in range(30)]

    winners = place_all(snapshot_of(*ZONES), *pods)

    assert Counter(int(winner[1:]) % 3 for winner in winners) == {0: 10, 1: 10, 2: 10}


def test_a_pod_without_terms_heeds_those_of_pods_placed_after_its_like():
    snapshot = snapshot_of(ZONES[0])
    answers = Answers(snapshot, all_plugins())
    first = answers.to(a_view("first", labels=WEB)).best()
    hermit = a_view("hermit", affinity=requiring("podAntiAffinity", term()))

    snapshot.place(hermit, "n0")
    second = answers.to(a_view("second", labels=WEB)).best()
    snapshot.remove(hermit.uid)

    assert (first.node, second, answers.to(a_view("third", labels=WEB)).best().node) == ("n0", None, "n0")


def test_a_spread_pod_heeds_terms_of_pods_placed_after_its_like():
    snapshot = snapshot_of(*ZONES[:2])
    answers = Answers(snapshot, all_plugins())
    answers.to(a_view("first", labels=WEB, topologySpreadConstraints=[SPREAD])).best()
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 9, "podAffinityTerm": term()}]}

    snapshot.place(a_view("fan", affinity={"podAffinity": wish}), "n1")
    choice = answers.to(a_view("second", labels=WEB, topologySpreadConstraints=[SPREAD])).best()

    assert choice.node == "n1"


def test_pods_that_differ_only_in_their_labels_share_no_answer_about_others():
    snapshot = snapshot_of(ZONES[0], placed=[(a_view(affinity=requiring("podAntiAffinity", term())), "n0")])
    answers = Answers(snapshot, all_plugins())

    assert answers.to(a_view(labels=WEB)).best() is None
    assert answers.to(a_view(labels={"app": "db"})).best().node == "n0"


def test_a_pod_that_is_placed_before_its_node_is_seen_counts():
    snapshot = snapshot_of(placed=[(a_view(labels=WEB), "n0")])
    snapshot.columns.neighbours.selected("default", a_view(topologySpreadConstraints=[SPREAD]).constraints[0].selector)
    for node in ZONES[:2]:
        snapshot.set_node(node)

    assert place_all(snapshot, a_view(labels=WEB, topologySpreadConstraints=[SPREAD])) == ["n1"]


@pytest.mark.parametrize("gone", [0, 2])
def test_rows_that_move_up_keep_their_pods(gone):
    snapshot = snapshot_of(*ZONES[:3], placed=[(a_view(labels=WEB), "n1")])
    place_all(snapshot, a_view(labels=WEB, affinity=requiring("podAffinity", term())))

    snapshot.remove_node(f"n{gone}")

    assert place_all(snapshot, a_view(labels=WEB, affinity=requiring("podAffinity", term()))) == ["n1"]


@in_virtual_time
async def test_a_pod_waits_for_the_one_it_wants_to_be_near_to():
    api = BindingApi()
    api.put(a_node("n"))
    api.put(a_pod("friend-of-web", affinity=requiring("podAffinity", term())))
    async with scheduling(api):
        await asyncio.sleep(5)
        assert placement(api) == {"friend-of-web": ""}
        api.put(a_pod("web", labels=WEB))
        await asyncio.sleep(5)

    assert placement(api) == {"friend-of-web": "n", "web": "n"}


@in_virtual_time
async def test_a_spread_pod_goes_on_when_the_empty_domain_gets_one():
    api = BindingApi()
    for index in range(2):
        api.put(a_node(f"n{index}", labels={"zone": f"z{index}"}, unschedulable=index == 1))
    api.put(a_pod("one", node="n0", labels=WEB))
    api.put(a_pod("two", labels=WEB, topology_spread_constraints=[SPREAD]))
    async with scheduling(api):
        await asyncio.sleep(5)
        assert placement(api)["two"] == ""
        api.put(a_pod("three", node="n1", labels=WEB))
        await asyncio.sleep(5)

    assert placement(api)["two"] == "n0"


@in_virtual_time
async def test_the_labels_of_namespaces_are_followed():
    api = BindingApi()
    api.put(a_node("n"))
    api.put(a_namespace("other"))
    api.put(a_pod("web", namespace="other", node="n", labels=WEB))
    wanted = term(namespaceSelector={"matchLabels": {"team": "x"}})
    api.put(a_pod("friend", affinity=requiring("podAffinity", wanted)))
    async with scheduling(api):
        await asyncio.sleep(5)
        assert placement(api)["friend"] == ""
        api.put(a_namespace("other", labels={"team": "x"}))
        await asyncio.sleep(5)

    assert placement(api)["friend"] == "n"
