"""Fair share as arithmetic: what was used counts less with time, nothing counts twice, and the light go first."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import a_condition, a_pod, an_object

from scheduler.pods import PodView
from scheduler.sharing.standing import Account, Rules, accounts, shares
from scheduler.sharing.tally import Tally, base_of, span_of, status_of
from scheduler.sharing.turns import Turn, Turns
from scheduler.sharing.usage import Amounts, Base, Span, totals
from wherry.api.sharing.fair_share import FairShare

HALF_LIFE = 1000.0
ONE_CARD = Amounts(1000.0, 0.0)
INSTANTS = st.floats(0, 1e5)
SPANS = st.lists(
    st.builds(
        lambda user, cards, start, length: Span(user, Amounts(1000.0 * cards, 100.0), start, start + length),
        *(st.sampled_from(["alice", "bob"]), st.integers(0, 8), INSTANTS, st.floats(1, 1e4)),
    ),
    max_size=8,
)


NOTHING_YET = Base()


def used(spans, now, base=NOTHING_YET):
    return {user: each.gpu for user, each in totals(base, spans, now=now, half_life=HALF_LIFE).items()}


def test_a_second_that_was_a_half_life_ago_counts_half():
    moment = [Span("alice", ONE_CARD, 0.0, 0.001)]

    assert used(moment, HALF_LIFE)["alice"] == pytest.approx(used(moment, 0.001)["alice"] / 2, rel=1e-3)


def test_what_is_held_for_ever_levels_out_at_the_half_life_over_the_logarithm_of_two():
    assert used([Span("alice", ONE_CARD, 0.0)], 50 * HALF_LIFE) == {"alice": pytest.approx(1000 * 1442.695)}


@given(SPANS, INSTANTS, INSTANTS)
def test_counting_on_from_what_was_written_gives_what_counting_from_the_start_gives(spans, writing, later):
    now = writing + later
    written = Base(writing, totals(Base(), spans, now=writing, half_life=HALF_LIFE))
    once = used([each for each in spans if each.start <= now], now)
    twice = used(spans, now, written)

    assert {user: each for user, each in twice.items() if each > 1} == pytest.approx(
        {user: each for user, each in once.items() if each > 1}, rel=1e-6, abs=1e-3
    )


@given(SPANS, INSTANTS, st.floats(1, 1e5))
def test_nobody_who_uses_nothing_more_comes_to_have_used_more(spans, now, later):
    ended = [span for span in spans if span.end <= now]
    before, after = used(ended, now), used(ended, now + later)

    assert all(after[user] <= before[user] for user in before)


@given(SPANS, INSTANTS)
def test_who_holds_more_has_used_more(spans, now):
    more = [span._replace(held=span.held.times(2)) for span in spans]
    few, many = used(spans, now), used(more, now)

    assert many == {user: pytest.approx(2 * each) for user, each in few.items()}


PODS = st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), st.integers(0, 2)), min_size=1, max_size=20)
STANDINGS = st.fixed_dictionaries({user: st.floats(0, 100) for user in ("alice", "bob", "carol")})


def tried(pods, standings):
    turns = Turns()
    turns.share_by(standings.get if standings else None)
    for ticket, (user, priority) in enumerate(pods):
        turns.add(priority, Turn(ticket, str(ticket), user))
    return [turn.ticket for turn in iter(turns.next, None)]


@given(PODS, STANDINGS)
def test_nobody_overtakes_who_is_more_important_or_has_had_less_or_is_himself_and_was_before(pods, standings):
    order = tried(pods, standings)
    ranks = [(-pods[each][1], standings[pods[each][0]]) for each in order]
    own = [(pods[one], one) for one in order]

    assert sorted(order) == list(range(len(pods)))
    assert all(before <= after for before, after in pairwise(ranks))
    assert all(one < two for i, (who, one) in enumerate(own) for other, two in own[i + 1 :] if who == other)


@given(PODS)
def test_without_fair_share_pods_of_a_priority_go_as_they_came(pods):
    assert tried(pods, None) == sorted(range(len(pods)), key=lambda each: (-pods[each][1], each))


def test_turning_it_on_orders_those_who_wait_already():
    turns = Turns()
    for ticket, user in enumerate(("alice", "alice", "bob")):
        turns.add(0, Turn(ticket, "", user))

    turns.share_by({"alice": 5.0, "bob": 0.0}.get)

    assert [turn.user for turn in iter(turns.next, None)] == ["bob", "alice", "alice"]


def test_of_two_who_begin_together_each_gets_a_turn_and_who_has_weight_two_gets_two():
    holds = {"alice": Amounts(), "bob": Amounts()}
    got = []
    for _ in range(6):
        first = accounts({}, holds, Rules(weights={"bob": 2}))[0].user
        got.append(first)
        holds[first] = holds[first].plus(ONE_CARD)

    assert sorted(got) == ["alice", "alice", "bob", "bob", "bob", "bob"]


@given(st.floats(1, 1e6))
def test_who_waits_long_enough_has_the_first_turn_however_much_he_used(used_before):
    now, heavy = 0.0, Base(0.0, {"alice": Amounts(1000 * used_before)})
    bob = [Span("bob", ONE_CARD, 0.0)]
    while accounts(totals(heavy, bob, now=now, half_life=HALF_LIFE), {"bob": ONE_CARD}, Rules())[0].user == "bob":
        now += HALF_LIFE

    assert now <= 30 * HALF_LIFE


def test_a_share_is_the_part_of_all_that_was_used():
    found = [Account("alice", Amounts(3000.0, 0.0)), Account("bob", Amounts(0.0, 100_000.0))]

    assert shares(found, 0.01) == {"alice": 0.75, "bob": 0.25}


def a_share(**more):
    return an_object(FairShare, "default", api_version="scheduling.wherry.dev/v1alpha1", **more)


def test_a_pod_counts_from_its_binding_to_its_end_however_often_it_is_told_of():
    start, end = datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 2, tzinfo=UTC)
    ended = {"name": "app", "state": {"terminated": {"exitCode": 0, "finishedAt": end.isoformat()}}}
    bound = [a_condition("PodScheduled", since=start)]
    pod = PodView(a_pod("p", uid="p", node="n", phase="Succeeded", conditions=bound,
                        status={"containerStatuses": [ended], "conditions": bound}))  # fmt: skip
    tally = Tally()

    for now in (end.timestamp() + 1, end.timestamp() + 2):
        tally.take("p", span_of(pod, 2.0, now))
    tally.drop("p", end.timestamp() + 3)

    assert tally.holds == {}
    [(user, spent)] = tally.totals(end.timestamp(), 1e12).items()
    assert (user, spent.gpu) == ("default", pytest.approx(2 * 3_600_000, rel=1e-3))


def test_what_is_written_is_what_is_read():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    status = status_of({"alice": Amounts(5.4, 2.0), "bob": Amounts(0.2, 0.1)}, now)

    assert base_of(a_share(status=status)) == Base(now.timestamp(), {"alice": Amounts(5, 2)})
