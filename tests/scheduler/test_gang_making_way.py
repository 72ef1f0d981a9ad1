"""Who makes way for a gang, on small clusters: no more than must, and nobody in vain."""

from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_pod
from test_gang_plan import a_group, a_picture, can_hold, gang_pods, nodes_with

from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.gangs import Thought
from scheduler.gangs.making_way import make_way
from scheduler.pods import PodView


def of_priority(priority, *pods):
    return [pod.read({**pod.to_wire(), "spec": {**pod.spec.to_wire(), "priority": priority}}) for pod in pods]


def running(data, room):
    """Pods of one cpu each, some more important than the gang, that fill some of the nodes."""
    for node, size in enumerate(room):
        for number in range(data.draw(st.integers(0, size))):
            priority = data.draw(st.sampled_from((0, 50, 200)))
            yield a_pod(f"n{node}-{number}", node=f"n{node}", requests={"cpu": "1"}, priority=priority)


def left(room, pods):
    return [size - sum(1 for pod in pods if pod.spec.node_name == f"n{index}") for index, size in enumerate(room)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3), st.integers(1, 3), st.data())
def test_somebody_goes_only_if_all_then_fits_and_nobody_who_could_stay(room, number, size, data):
    pods = list(running(data, room))
    picture = a_picture(nodes_with(*room), pods)
    gang = [PodView(pod) for pod in of_priority(100, *gang_pods(*[size] * number))]

    moves = make_way(gang, number, Thought(picture))

    gone = {victim.key for move in moves for victim in move.victims}
    stay = [pod for pod in pods if pod.key not in gone]
    least = left(room, [pod for pod in pods if pod.spec.priority > 100])
    assert bool(moves) == can_hold(least, [size] * number, number)
    assert all(victim.spec.priority < 100 for move in moves for victim in move.victims)
    free = left(room, stay)
    for move in moves:
        free[int(move.node[1:])] -= size
    assert min(free) >= 0
    assert all(free[int(move.node[1:])] == 0 for move in moves if move.victims)
    assert sum(len(picture.snapshot.pods_on(node)) for node in picture.nodes) == len(pods)


def test_a_forecast_says_who_would_make_way_for_a_whole_gang():
    low = a_pod("low", node="n0", requests={"cpu": "1"})
    picture = a_picture(nodes_with(1, 1), [low], [a_group(2)])

    told = forecast(picture, of_priority(100, *gang_pods(1, 1)))

    assert told.verdict == Verdict.PREEMPTS
    assert list(told.lines()) == [
        "2 of 2 pods fit:",
        "  n0: 1",
        "  n1: 1",
        "group train gets its nodes together or not at all: 1 of 2 would fit now",
        "group train is more important than others, and fits if default/low make way",
        "1 pod would have to make way:",
        "  default/low on n0",
    ]
