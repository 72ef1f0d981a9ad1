"""What is remembered of nodes without what pods ask for, compared with what the ledger says is free."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_devices import cards

from scheduler.devices.ledger import Ledger
from scheduler.devices.parts import Part
from scheduler.devices.refusals import Refusals
from wherry.api.resource.gpu import Share

CARDS = cards("n1", 3)
SIZE = CARDS[0].memory_bytes


def a_part(card):
    return Part("n1", card.uuid, Share(SIZE // 4, SIZE))


WHO = st.sampled_from(("a", "b"))
SOME = st.lists(st.sampled_from(CARDS), max_size=2, unique_by=lambda card: card.id)
STEPS = st.one_of(
    st.tuples(st.just("hold"), WHO, SOME.map(lambda cards: [card.uuid for card in cards])),
    st.tuples(st.just("hold_part"), WHO, st.sampled_from(CARDS).map(a_part)),
    st.tuples(st.just("hold_unnamed"), WHO, st.just("n1")),
    st.tuples(st.just("hold_claim"), WHO, SOME.map(lambda cards: [card.id for card in cards])),
    st.tuples(st.sampled_from(("drop", "drop_claim", "keep_no_more")), WHO),
    st.tuples(st.just("keep"), st.just("n1"), WHO, st.integers(0, 2)),
)


def what_is_there(ledger):
    """What of the cards others could have: those that are free, what is left of those in parts, how few are kept."""
    whole = {(card.id, "whole") for card in CARDS if ledger.is_free(card)}
    left = {(card.id, left) for card in CARDS for left in range(5) if 4 * ledger.parts.left(card) >= left * SIZE}
    return whole | left | {("kept", most) for most in range(5) if ledger.kept_on("n1") <= most}


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=12))
@example([("keep", "n1", "a", 2), ("keep", "n1", "a", 1)])
def test_a_ledger_tells_whenever_there_may_be_more_for_others(steps):
    ledger = Ledger()
    for name, *arguments in steps:
        before, freed = what_is_there(ledger), ledger.freed

        getattr(ledger, name)(*arguments)

        assert what_is_there(ledger) <= before or ledger.freed > freed


def test_what_a_node_has_not_is_known_until_something_becomes_free():
    ledger = Ledger()
    refusals = Refusals(ledger)
    ledger.hold("a", [CARDS[0].uuid])
    refusals.begin()
    refusals.note("n1", b"one card")

    ledger.hold("b", [CARDS[1].uuid])
    with ledger.without(["a"], []):
        pass
    known = refusals.has("n1", b"one card"), refusals.has("n2", b"one card"), refusals.has("n1", b"two cards")
    ledger.drop("a")

    assert known == (True, False, False)
    assert not refusals.has("n1", b"one card")


def test_nothing_is_remembered_but_while_pods_are_put_down_in_thought():
    refusals = Refusals(Ledger())
    refusals.note("n1", b"before")
    refusals.begin()
    refusals.note("n1", b"meanwhile")
    refusals.note("n1", None)
    known = refusals.has("n1", b"before"), refusals.has("n1", b"meanwhile"), refusals.has("n1", None)
    refusals.end()

    assert known == (False, True, False)
    assert not refusals.has("n1", b"meanwhile")
