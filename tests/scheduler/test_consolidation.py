"""Pods move elsewhere for others that would fit if the free room were in one place."""

import asyncio

import msgspec
from binding_api import BindingApi
from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_container, a_node, a_pod, a_replicaset, an_object
from scheduling import all_plugins
from test_gang_plan import PLUGINS, a_group, a_picture, gang_pods, nodes_with
from test_scheduler_runner import events, placement, scheduling

from scheduler.consolidation.plan import Site, consolidate
from scheduler.cycle.panel import Panel
from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.gangs import Thought
from scheduler.explaining.picture import Objects, Picture
from scheduler.explaining.regrouping import NOBODY_MOVES, regroupings
from scheduler.explaining.text import DECISION, Record
from scheduler.plugins.consolidation import Consolidation, ConsolidationArgs
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.machinery import errors
from wherry.sim.virtual_time import in_virtual_time

WEB = a_replicaset("web")
PANEL = Panel(PLUGINS["default-scheduler"])


def service(name, node, cpu="1", **more):
    more.setdefault("owner", WEB)
    return a_pod(name, node=node, spec={"containers": [a_container(requests={"cpu": cpu})]}, phase="Running", **more)


def regrouped(picture, pods, most_moves=9, budgets=()):
    site = Site(picture.snapshot, PANEL, Thought(picture), Budgets(budgets), most_moves)
    return consolidate([PodView(pod) for pod in pods], len(pods), site)


def a_large_pod(cpu="3", **more):
    return a_pod("large", requests={"cpu": cpu}, **more)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=3), st.integers(1, 3), st.data())
def test_it_is_done_whenever_the_rest_of_the_room_is_enough_and_nothing_is_overfilled(room, size, data):
    used = [data.draw(st.integers(0, cpus)) for cpus in room]
    pods = [service(f"n{node}-{i}", f"n{node}") for node, number in enumerate(used) for i in range(number)]
    picture = a_picture(nodes_with(*room), pods)

    found = regrouped(picture, [a_large_pod(str(size))])

    free = [cpus - taken for cpus, taken in zip(room, used, strict=True)]
    fits_now, fits_then = max(free) >= size, sum(free) >= size and max(room) >= size
    assert bool(found) == (fits_then and not fits_now)
    if found:
        [(_, place)] = found.places
        for move in found.moves:
            free[int(move.node[1:])] += 1
            free[int(move.to[1:])] -= 1
        free[int(place[1:])] -= size
        assert min(free) >= 0
    assert {node: len(picture.snapshot.pods_on(node)) for node in picture.nodes} == {
        f"n{node}": number for node, number in enumerate(used)
    }


def test_only_those_move_who_are_made_anew_and_may_go():
    kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    job = an_object("Job", "train", api_version="batch/v1")
    of_a_gang = {"scheduling_group": {"podGroupName": "train"}}
    elses = {"scheduler_name": "second"}
    stays = [
        {"owner": None},
        {"owner": job},
        {"annotations": kept},
        {"priority": 9},
        of_a_gang,
        {"deleted": True},
        elses,
    ]

    found = [regrouped(a_picture(nodes_with(3, 1), [service("a", "n0", **more)]), [a_large_pod()]) for more in stays]

    assert found == [None] * len(stays)


def test_no_more_move_than_allowed_and_no_budget_is_broken():
    pods = [service("a", "n0", labels={"app": "web"}), service("b", "n0", labels={"app": "web"})]
    budget = an_object(
        "PodDisruptionBudget",
        api_version="policy/v1",
        selector={"matchLabels": {"app": "web"}},
        status={"disruptionsAllowed": 1},
    )
    limits = ({}, {"most_moves": 1}, {"budgets": [budget]})

    found = [regrouped(a_picture(nodes_with(3, 2), pods), [a_large_pod()], **more) for more in limits]

    assert [each and {move.pod.key for move in each.moves} for each in found] == [
        {"default/a", "default/b"},
        None,
        None,
    ]


def test_a_gang_has_others_move_only_if_all_of_it_then_fits():
    pods = [service("a", "n0"), service("b", "n1")]

    both = regrouped(a_picture(nodes_with(3, 3, 2), pods, [a_group(2)]), gang_pods(3, 3))
    half = regrouped(a_picture(nodes_with(3, 3, 1), pods, [a_group(2)]), gang_pods(3, 3))

    assert {node for _, node in both.places} == {"n0", "n1"}
    assert {move.to for move in both.moves} == {"n2"}
    assert half is None


class EvictingApi(BindingApi):
    """Evictions as deletions, unless a budget is said to forbid them."""

    forbids = False

    def _answer(self, method, place, query, body):
        if place.subresource == "eviction":
            if self.forbids:
                raise errors.TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.")
            key = (place.kind, place.namespace, place.name)
            pod = Pod.read(self._existing(key))
            self.remove(pod)
            self.put(service(f"{pod.metadata.name}-again", ""))
            return {"kind": "Status", "status": "Success"}
        return super()._answer(method, place, query, body)


def moving(most=4):
    others = [plugin for plugin in all_plugins() if plugin.name != "Consolidation"]
    return [*others, Consolidation(ConsolidationArgs(most_moves=most))]


def kept(api, pod):
    told = [each for each in api.all(Event) if (each.about.name, each.reason) == (pod, "Scheduled")]
    return list(msgspec.json.decode(told[0].metadata.annotations[DECISION], type=Record).lines())


async def consolidated(api, plugins, **more):
    api.put(a_node("n", cpu="3")), api.put(a_node("m", cpu="3"))
    api.put(service("a", "n")), api.put(service("b", "m", cpu="2"))
    async with scheduling(api, plugins=plugins):
        api.put(a_large_pod("3", **more))
        await asyncio.sleep(5)
    return placement(api)


@in_virtual_time
async def test_a_pod_gets_its_room_and_those_in_the_way_run_elsewhere():
    api = EvictingApi()

    placed = await consolidated(api, moving())

    assert placed == {"large": "n", "a-again": "m", "b": "m"}
    message = "Evicted from node n to make room for pod default/large; other nodes have room for this one"
    assert ("a", "Consolidated", message) in events(api)
    assert kept(api, "large") == [
        "default/large: n, by consolidation",
        "  n: default/a moved away; m had room for it",
    ]


@in_virtual_time
async def test_names_of_another_namespace_are_told_to_nobody_who_moved():
    api = EvictingApi()

    await consolidated(api, moving(), namespace="other")

    message = "Evicted from node n to make room for pod pod-other-large; other nodes have room for this one"
    assert ("a", "Consolidated", message) in events(api)


@in_virtual_time
async def test_nobody_moves_by_default_nor_where_a_budget_says_no():
    forbidding = EvictingApi()
    forbidding.forbids = True

    usual, forbidden = await consolidated(EvictingApi(), all_plugins()), await consolidated(forbidding, moving())

    assert usual == forbidden == {"large": "", "a": "n", "b": "m"}
    assert [pod.status.nominated_node_name for pod in forbidding.all(Pod)] == ["", "", ""]


@in_virtual_time
async def test_who_never_leaves_keeps_others_from_moving_for_a_while_only():
    class Stuck(BindingApi):
        def _answer(self, method, place, query, body):
            return {} if place.subresource == "eviction" else super()._answer(method, place, query, body)

    api = Stuck()
    for name in ("n", "m"):
        api.put(a_node(name, cpu="3"))
    api.put(service("a", "n")), api.put(service("b", "m", cpu="2"))
    async with scheduling(api, plugins=moving()):
        api.put(a_large_pod("3"))
        asked = []
        for _ in range(2):
            await asyncio.sleep(500)
            asked.append(sum("/eviction" in line for line in api.requests))

    assert asked == [1, 2]


def test_it_is_told_who_would_have_to_move():
    picture = a_picture(nodes_with(3, 2), [service("a", "n0")])
    pod = [PodView(a_large_pod())]

    allowed, not_allowed = (list(regroupings(picture, pod, 1, most)) for most in (4, 0))

    assert allowed == ["there is room on n0 if default/a moves from n0 to n1"]
    assert not_allowed == [f"{allowed[0]}; {NOBODY_MOVES}"]


def test_a_forecast_knows_who_would_move_if_the_scheduler_moves_anybody():
    pods = [service("a", "n0"), service("b", "n1")]
    others = [plugin for plugin in all_plugins() if not isinstance(plugin, Consolidation)]
    moving = {"default-scheduler": [*others, Consolidation(ConsolidationArgs(most_moves=1))]}
    still = forecast(a_picture(nodes_with(3, 3), pods), [a_large_pod()])
    moved = forecast(Picture(Objects({Node: nodes_with(3, 3), Pod: pods}), moving), [a_large_pod()])

    assert (still.verdict, moved.verdict) == (Verdict.DOES_NOT_FIT, Verdict.PREEMPTS)
    assert list(still.lines()) == [
        "0 of 1 pods fit",
        f"there is room on n0 if default/a moves from n0 to n1; {NOBODY_MOVES}",
    ]
    assert list(moved.lines()) == [
        "1 of 1 pods fit:",
        "  n0: 1",
        "1 pod would have to move:",
        "  default/a from n0 to n1",
    ]


def test_a_forecast_of_a_gang_without_room_says_what_the_next_of_its_pods_lacks():
    told = forecast(a_picture(nodes_with(2, 2), (), [a_group(3)]), gang_pods(2, 2, 2))

    assert told.stuck is not None
    assert told.stuck.judgement.decision.message == "0/2 nodes are available: 2 Insufficient cpu."
