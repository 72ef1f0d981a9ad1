"""The room a gang waits for, compared with what a small cluster's pods leave when they end."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from make import NOW, a_pod, an_object
from test_gang_plan import a_picture, gang_pods, nodes_with

from scheduler.explaining.gangs import Thought
from scheduler.gangs.plan import assemble
from scheduler.gangs.reservation import Leaving, reserve
from scheduler.pods import PodView


def running(name, node, seconds=None, **more):
    status = {"start_time": NOW}
    return a_pod(name, node=node, requests={"cpu": "1"}, status=status, active_deadline_seconds=seconds, **more)


def room_for(gang, sizes, pods):
    """The reservation, and how many pods of the gang fit when all have left that are gone by its time."""
    picture = a_picture(nodes_with(*sizes), pods)
    placed = [(pod, node) for node in picture.nodes for pod in picture.snapshot.pods_on(node).values()]
    views = [PodView(pod) for pod in gang]
    found = reserve(views, len(views), Thought(picture), Leaving(placed, picture.snapshot, NOW))
    assert sum(len(picture.snapshot.pods_on(node)) for node in picture.nodes) == len(pods)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 4), st.data())
def test_the_room_is_there_once_those_have_left_who_end_until_then_and_no_sooner(sizes, number, data):
    ends = st.one_of(st.none(), st.integers(1, 5).map(lambda minutes: minutes * 60))
    slots = [f"n{index}" for index, size in enumerate(sizes) for _ in range(size)]
    full = [running(f"p{i}", node, data.draw(ends)) for i, node in enumerate(slots)]
    gang = gang_pods(*[1] * number)

    found = room_for(gang, sizes, full)

    if number > len(slots):
        assert found is None
        return
    times = sorted(pod.spec.active_deadline_seconds for pod in full if pod.spec.active_deadline_seconds)
    known = NOW + timedelta(seconds=times[number - 1] + 40) if len(times) >= number else None
    assert found.starts_at == known
    assert all([node for _, node in found.places].count(f"n{i}") <= size for i, size in enumerate(sizes))


def test_nobody_waits_for_pods_that_never_end_and_nodes_with_few_pods_are_emptied_first():
    rs = an_object("ReplicaSet", "web", api_version="apps/v1")
    service = [running("web", "n0", owner=rs), running("a", "n1"), running("b", "n1"), running("c", "n2")]

    few = room_for(gang_pods(1, 1), (1, 2, 2), service)
    many = room_for(gang_pods(1, 1, 1, 1, 1), (1, 2, 2), service)

    assert sorted(node for _, node in few.places) == ["n2", "n2"]
    assert many is None


def test_a_gang_is_planned_as_before_when_room_is_looked_for_in_vain():
    picture = a_picture(nodes_with(1))
    pods = [PodView(pod) for pod in gang_pods(1, 1)]

    assert reserve(pods, 2, Thought(picture), Leaving((), picture.snapshot, NOW)) is None
    assert assemble(pods[:1], 1, Thought(picture)).places[0].node == "n0"
