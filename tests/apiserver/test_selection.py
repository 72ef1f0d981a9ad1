"""Many objects are chosen from as each of them is judged."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apiserver.reading import selection as module
from apiserver.reading.selection import Judged, Selection, chosen_in_slices
from apiserver.reading.stored import Stored, encode
from wherry.api.core.pod import Pod
from wherry.machinery.selectors import MAX_TERMS, NOTHING, FieldTerms, parse_field_selector, parse_label_selector

LABELS = some.dictionaries(some.sampled_from(("app", "tier")), some.sampled_from(("web", "db", "", "7")))
TERMS = ("app", "!app", "app=web", "app!=web", "app in (web,db)", "app notin (web,db)", "app>5", "app<5", "tier=web")
FIELDS = ("metadata.name=p-0", "metadata.namespace!=shop", "spec.nodeName=n", "status.phase!=Running")


def a_stored_pod(name: str, labels: dict[str, str]) -> Stored:
    draft = {"metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": {"nodeName": name[-1:]}}
    return Stored(Pod, f"/registry/pods/shop/{name}", encode(draft, Pod.kind), 7)


# A busy machine is no fault of the selectors.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    some.lists(LABELS, max_size=5),
    some.lists(some.sampled_from(TERMS), max_size=3),
    some.lists(some.sampled_from(FIELDS), max_size=2),
)
def test_many_are_chosen_as_each_is_judged(labels: list[dict[str, str]], terms: list[str], fields: list[str]):
    listed = [a_stored_pod(f"p-{number}", each) for number, each in enumerate(labels)]
    selection = Selection("shop", parse_label_selector(",".join(terms)), parse_field_selector(",".join(fields)))

    assert selection.chosen(listed) == [each for each in listed if selection.matches(each)]


@pytest.mark.parametrize("labels", [{}, {"app": "web"}])
def test_a_selector_that_selects_nothing_chooses_none(labels: dict[str, str]):
    assert list(Selection("", NOTHING, FieldTerms()).chosen([a_stored_pod("p-0", labels)])) == []


async def test_those_judged_ahead_of_the_moment_and_those_that_changed_since_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "JUDGED_AT_A_TIME", 2)
    web = Selection("shop", parse_label_selector("app=web"), FieldTerms())
    before = [a_stored_pod(f"p-{number}", {"app": "web" if number % 2 else "db"}) for number in range(6)]
    judged = Judged(web)

    await judged.prepare(before)
    now = [a_stored_pod("p-0", {"app": "web"}), *before[1:3], a_stored_pod("p-3", {}), before[5]]

    assert [each.name for each in judged.chosen(now)] == ["p-0", "p-1", "p-5"]
    assert list(await chosen_in_slices(web, before)) == list(web.chosen(before))


@pytest.mark.parametrize("parse", [parse_label_selector, parse_field_selector])
def test_more_terms_than_a_selector_may_have_are_refused(parse: Callable[[str], object]):
    terms = [f"k{number}=v" for number in range(MAX_TERMS + 1)]

    parse(",".join(terms[1:]))

    with pytest.raises(ValueError, match=f"more than {MAX_TERMS} terms"):
        parse(",".join(terms))
