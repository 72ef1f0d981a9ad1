"""Queues: what is its own a queue always gets, what others leave idle it may borrow, and has to give back."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from make import NOW, a_container, a_node, a_pod, an_object
from scheduling import a_view, all_plugins

from scheduler.explaining.picture import Objects, Picture
from scheduler.pods.devices import DeviceNeeds
from scheduler.sharing.quotas import Book, Quota
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import MEMORY
from wherry.api.sharing.queue import Queue

GPU = "nvidia.com/gpu"
GROUP = "scheduling.wherry.dev/v1alpha1"


def a_quota(name, own, limit=None):
    return Quota(name, {GPU: own}, {} if limit is None else {GPU: limit})


def wanting(cards, name="p", **more):
    return a_view(name, uid=name, spec={"containers": [a_container(requests={GPU: str(cards)})]}, **more)


def a_book(*quotas, **used):
    book = Book(quotas)
    for queue, cards in used.items():
        for number in range(cards):
            started = {"startTime": NOW - timedelta(minutes=60 - number)}
            book.hold(queue, wanting(1, f"{queue}-{number}", node="n", status=started))
    return book


def test_what_is_its_own_a_queue_gets_whatever_others_have_borrowed():
    book = a_book(a_quota("nlp", 4), a_quota("vision", 4), nlp=8)

    assert book.refusal(wanting(4), "vision") == ""


def test_what_others_leave_idle_may_be_borrowed_and_no_more():
    book = a_book(a_quota("nlp", 4), a_quota("vision", 4), nlp=3, vision=4)

    assert book.refusal(wanting(1), "vision") == ""
    assert (
        book.refusal(wanting(2), "vision")
        == f"queue vision: 2 {GPU} wanted; of its 4 it uses 4, and it may borrow 1 more"
    )


def test_a_limit_keeps_a_queue_from_borrowing_all():
    book = a_book(a_quota("nlp", 4), a_quota("vision", 4, limit=1), vision=4)

    assert book.refusal(wanting(1), "vision") == ""
    assert book.refusal(wanting(2), "vision") == (
        f"queue vision: 2 {GPU} wanted; of its 4 it uses 4, and it may borrow 1 more"
    )
    assert book.refusal(wanting(6), "vision") == (
        f"queue vision: 6 {GPU} wanted, which is more than the 5 that it may ever have"
    )


def test_the_cards_of_a_claim_count_once_however_many_pods_share_it():
    book, new = Book([a_quota("nlp", 4)]), DeviceNeeds(nodes=("n",), cards=2)
    for name in ("a", "b"):
        book.hold("nlp", a_view(name, uid=name, node="n"), {"shared": 3})

    assert book.used("nlp", GPU) == 3
    assert book.refusal(a_view("c"), "nlp", {"shared": 3}) == ""
    assert book.refusal(a_view("d").replace(devices=new), "nlp") == (
        f"queue nlp: 2 {GPU} wanted; of its 4 it uses 3, and it may borrow 0 more"
    )
    book.drop("a")
    assert book.used("nlp", GPU) == 3
    book.drop("b")
    assert book.used("nlp", GPU) == 0


def test_a_part_of_a_card_counts_by_its_memory():
    book, part = Book([Quota("nlp", {MEMORY: 40 << 30}, {})]), {"containers": [a_container(requests={MEMORY: "30Gi"})]}
    book.hold("nlp", a_view("a", uid="a", node="n", spec=part))

    assert book.used("nlp", MEMORY) == 30 << 30
    assert book.refusal(a_view("b", spec=part), "nlp") == (
        f"queue nlp: 30Gi {MEMORY} wanted; of its 40Gi it uses 30Gi, and it may borrow 0 more"
    )


def test_a_queue_that_does_not_exist_keeps_its_pods_and_who_has_none_is_free():
    assert a_book().refusal(wanting(1), "nowhere") == 'queue "nowhere" does not exist'
    assert a_book(a_quota("nlp", 0)).refusal(wanting(9), "") == ""


def test_the_youngest_of_the_least_important_are_there_on_borrowed_quota():
    book = a_book(a_quota("nlp", 2), a_quota("vision", 4), nlp=4)
    book.hold("nlp", wanting(1, "unimportant", priority=-1, node="n"))

    assert book.lent(wanting(1), "vision") == {"unimportant", "nlp-3", "nlp-2"}
    assert book.lent(wanting(5), "vision") == frozenset()


STEPS = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 3), st.booleans()), max_size=40)


@given(STEPS, st.tuples(*(st.integers(0, 5) for _ in range(3))))
def test_beyond_what_is_its_own_no_queue_ever_comes_to_hold_more_than_all_have(steps, owns):
    book = Book([a_quota(name, own) for name, own in zip("abc", owns, strict=True)])
    for number, (queue, cards, leaves) in enumerate(steps):
        if leaves:
            book.drop(f"p{number - 1}")
            continue
        is_own = book.used(queue, GPU) + cards <= book.quotas[queue].nominal[GPU]
        refusal = book.refusal(wanting(cards, f"p{number}"), queue)
        assert not (is_own and refusal)
        if not refusal:
            book.hold(queue, wanting(cards, f"p{number}"))
            assert is_own or sum(book.used(each, GPU) for each in "abc") <= sum(owns)


def in_queue(name, queue, cards, node="", **more):
    spec = {"containers": [a_container(requests={GPU: str(cards)})]}
    return a_pod(name, uid=name, labels={"wherry.dev/queue": queue}, node=node, spec=spec, **more)


def a_picture(*pods, cards=4, **owns):
    queues = [
        an_object(Queue, name, api_version=GROUP, spec={"nominal": {GPU: str(own)}}) for name, own in owns.items()
    ]
    node = a_node("n", allocatable={GPU: str(cards), "cpu": "64", "memory": "64Gi", "pods": "110"})
    return Picture(Objects({Node: [node], Pod: pods, Queue: queues}), {"default-scheduler": all_plugins()})


def judged(picture, pod):
    decision, preemption = picture.judged(picture.view(pod))
    return decision.winner or decision.message, sorted(victim.metadata.name for victim in preemption.victims)


def test_an_owner_takes_back_what_is_lent_and_no_more_than_that():
    lent = [in_queue(f"nlp-{n}", "nlp", 1, "n", status={"startTime": NOW + timedelta(n)}) for n in range(4)]
    picture = a_picture(*lent, nlp=2, vision=2)

    message, victims = judged(picture, in_queue("mine", "vision", 1))
    beyond = judged(picture, in_queue("three", "vision", 3))

    assert (message, victims) == (f"0/1 nodes are available: 1 Insufficient {GPU}.", ["nlp-3"])
    why = f"queue vision: 3 {GPU} wanted; of its 2 it uses 0, and it may borrow 0 more"
    assert beyond == (f"0/1 nodes are available: {why}.", [])


def test_nobody_gives_way_to_an_equal_who_only_borrows_or_has_no_queue():
    own = [in_queue(f"nlp-{n}", "nlp", 1, "n") for n in range(4)]

    assert judged(a_picture(*own, nlp=4, vision=4), in_queue("mine", "vision", 1))[1] == []
    assert judged(a_picture(*own, nlp=2, vision=2), in_queue("none", "", 1))[1] == []
