"""The plan for a gang, compared with trying everything, on small clusters."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st
from make import NOW, a_node, a_pod, an_object
from scheduling import all_plugins

from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.gangs import Thought, gang_of
from scheduler.explaining.hints import hints
from scheduler.explaining.holders import holders_on
from scheduler.explaining.picture import Objects, Picture
from scheduler.gangs.plan import Found, assemble
from scheduler.pods import PodView
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.scheduling.pod_group import PodGroup

PLUGINS = {"default-scheduler": all_plugins()}


def a_picture(nodes, pods=(), groups=()):
    objects = {Node: tuple(nodes), Pod: tuple(pods), PodGroup: tuple(groups)}
    return Picture(Objects(objects), PLUGINS)


def nodes_with(*sizes):
    return [a_node(f"n{index}", cpu=str(size)) for index, size in enumerate(sizes)]


def gang_pods(*sizes, group="train"):
    sized = enumerate(sizes)
    of = {"scheduling_group": {"podGroupName": group}}
    return [a_pod(f"{group}-{index}", requests={"cpu": str(size)}, **of) for index, size in sized]


def a_group(min_count, name="train"):
    return an_object(PodGroup, name, scheduling_policy={"gang": {"minCount": min_count}})


def can_hold(room, sizes, needed):
    """Whether so many of these fit, found by trying everything."""
    for some in combinations(sizes, needed):
        for nodes in product(range(len(room)), repeat=needed):
            used = [0] * len(room)
            for node, size in zip(nodes, some, strict=True):
                used[node] += size
            if all(use <= free for use, free in zip(used, room, strict=True)):
                return True
    return False


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.data(),
)
def test_a_gang_gets_its_nodes_whenever_that_is_possible_and_never_half(room, sizes, data):
    needed = data.draw(st.integers(1, len(sizes)))
    picture = a_picture(nodes_with(*room))

    found = assemble([PodView(pod) for pod in gang_pods(*sizes)], needed, Thought(picture))

    assert bool(found.places) == can_hold(room, sizes, needed)
    assert found.places == () or len(found.places) >= needed
    used = dict.fromkeys(picture.nodes, 0)
    for pod, node, *_ in found.places:
        used[node] += pod.requests["cpu"]
    assert all(use <= room[index] * 1000 for index, use in enumerate(used.values()))
    assert not any(picture.snapshot.pods_on(node) for node in picture.nodes)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 4), st.data())
def test_of_two_gangs_each_gets_all_or_nothing(room, first, second, data):
    picture = a_picture(nodes_with(*room), groups=[a_group(first, "a"), a_group(second, "b")])
    pods = [*gang_pods(*[1] * first, group="a"), *gang_pods(*[1] * second, group="b")]

    fates = forecast(picture, data.draw(st.permutations(pods))).fates

    placed = {group: sum(1 for fate in fates if fate.node and group_name(fate) == group) for group in ("a", "b")}
    assert placed["a"] in (0, first)
    assert placed["b"] in (0, second)


def group_name(fate):
    return fate.pod.spec.scheduling_group.pod_group_name


def test_a_forecast_of_a_whole_gang_tells_what_it_lacks():
    group = a_group(3)
    plenty, little, few = (
        forecast(a_picture(nodes_with(2, room), groups=[group]), gang_pods(*[1] * pods))
        for room, pods in ((1, 3), (0, 3), (9, 2))
    )

    assert (plenty.verdict, little.verdict, few.verdict) == (Verdict.FITS, Verdict.DOES_NOT_FIT, Verdict.DOES_NOT_FIT)
    assert list(plenty.lines())[-1] == "there is room for group train: 3 of 3 fit now"
    together = "group train gets its nodes together or not at all: 2 of 3 would fit now"
    never = "even with nobody else there only 2 of 3 would fit"
    assert list(little.lines()) == ["0 of 3 pods fit", together, never]
    assert list(few.lines()) == ["0 of 2 pods fit", "waiting for 1 more pods of group train: 2 of 3"]


def test_a_gang_for_which_room_is_kept_is_a_gang_still_and_says_where():
    pods = [pod.with_status(nominated_node_name=f"n{n}") for n, pod in enumerate(gang_pods(2, 2))]
    there = [a_pod(f"there-{n}", node=f"n{n}", requests={"cpu": "1"}) for n in range(2)]
    picture = a_picture(nodes_with(2, 2), [*there, *pods], [a_group(2)])

    assert list(gang_of(picture, pods[0]).lines(picture)) == [
        "group train gets its nodes together or not at all: 0 of 2 would fit now",
        "room is kept for group train on n0, n1",
    ]


def test_the_rest_of_its_gang_holds_nothing_that_could_become_free():
    pods = gang_pods(2, 2, 2)
    there = a_pod("there", node="n1", requests={"cpu": "2"})
    picture = a_picture(nodes_with(3, 3), [there, *pods], [a_group(3)])
    with gang_of(picture, pods[0]).all_but_the_next(picture) as (pod, judgement):
        held = {node: list(holders_on(picture, node, pod, NOW)) for node in ("n0", "n1")}
        told = list(hints(pod, judgement, held))

    assert told == ["it fits on n1 when 1 cpu frees; held by default/there (2, for 0s)"]


def test_what_a_waiting_gang_lacks_is_what_its_next_pod_lacks():
    pods = gang_pods(1, 1, 1)
    picture = a_picture(nodes_with(2), pods, [a_group(3)])
    gang = gang_of(picture, pods[0])

    with gang.all_but_the_next(picture) as (pod, judgement):
        placed = len(picture.snapshot.pods_on("n0"))

    assert (placed, len(picture.snapshot.pods_on("n0"))) == (2, 0)
    assert pod.key == "default/train-2"
    assert judgement.decision.message == "0/1 nodes are available: 1 Insufficient cpu."


class Full:
    """A board with room for nobody."""

    def find(self, pod):
        return Found()

    def options(self, pod):
        return ()


def test_a_mixed_gang_of_thousands_is_only_told_that_it_does_not_fit():
    pods = [PodView(pod) for pod in gang_pods(*range(1, 2001))]

    found = assemble(pods, 2, Full())

    assert (found.places, found.fitting, len(found.missing)) == ((), 0, 2000)
