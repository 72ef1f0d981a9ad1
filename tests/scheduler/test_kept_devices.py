"""Cards that are kept for pods that wait, and pods that take devices: in all ways in which they may ask for them."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_gang_devices import KINDS, a_cluster, can_have, cards_of, member

from scheduler.pods import PodView

NODES = st.lists(st.sampled_from((4, 10)), min_size=1, max_size=4)
CLAIMS = st.lists(st.tuples(st.integers(1, 2), st.booleans()), min_size=3, max_size=3)


def asked_once(wants):
    """No two of them ask for the same claim: who shares one has no need of more."""
    claims = [want for want in wants if want[0] == "claim"]
    return len(set(claims)) == len(claims)


WANTS = st.lists(KINDS, min_size=2, max_size=5).filter(asked_once)


@settings(max_examples=80, deadline=None)
@given(NODES, WANTS, CLAIMS, st.integers(1, 3))
@example([10, 10], [("cards", 1), ("claim", 0), ("claim", 1)], [(1, False), (1, False)], 1)
@example([10, 10], [("part", 6), ("cards", 1), ("cards", 1)], [], 1)
@example([10, 10], [("claim", 0), ("part", 4), ("part", 4), ("cards", 1)], [(1, True)], 1)
@example([10], [("cards", 1), ("part", 4)], [], 1)
def test_whoever_comes_later_leaves_what_is_kept_and_those_for_whom_it_is_get_it(sizes, wants, claims, number):
    picture = a_cluster([(9, sizes)], wants, claims)
    pods = [PodView(member(index, want)) for index, want in enumerate(wants)]
    waiting, later = pods[:number], pods[number:]
    waiting = [pod for pod in waiting if fits(picture, pod) and not picture.nominations.nominate(pod, "n0")]

    taken = [pod for pod in later if fits(picture, pod) and not picture.place(picture.view(pod.pod), "n0")]

    for pod in waiting:
        assert fits(picture, pod)
        picture.nominations.withdraw(pod.uid)
        assert picture.put(picture.view(pod.pod), "n0")
    assert all(users <= 1 for users in cards_of(picture))
    free, known = tuple((0, size, True) for size in sizes), {n: (*each, None) for n, each in enumerate(claims)}
    there = [want for index, want in enumerate(wants) if pods[index] in (*waiting, *taken)]
    assert can_have(free, there, known, len(there), {0: 9})


def fits(picture, pod):
    return bool(picture.judged(picture.view(pod.pod), preempts=False).decision.winner)


@settings(max_examples=80, deadline=None)
@given(NODES, WANTS, CLAIMS, st.integers(1, 2))
@example([10, 4], [("cards", 1), ("claim", 0)], [(1, True)], 1)
@example([10, 4], [("claim", 0), ("cards", 1)], [(2, False)], 1)
@example([10, 4], [("part", 6), ("cards", 1)], [], 1)
def test_nobody_is_refused_who_leaves_as_many_cards_as_are_counted(sizes, wants, claims, cards):
    """Either the one who waits counts cards, or the one who comes: then it does not matter which are kept."""
    for waits, comes in ((("cards", cards), wants[0]), (wants[0], ("cards", cards))):
        picture = a_cluster([(9, sizes)], [waits, comes], claims)
        pods = [PodView(member(index, want)) for index, want in enumerate((waits, comes))]
        free, known = tuple((0, size, True) for size in sizes), {n: (*each, None) for n, each in enumerate(claims)}
        if fits(picture, pods[0]):
            picture.nominations.nominate(pods[0], "n0")
            assert fits(picture, pods[1]) == can_have(free, [waits, comes], known, 2, {0: 9})
