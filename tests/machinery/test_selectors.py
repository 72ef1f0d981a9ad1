"""Selectors: Kubernetes' grammar, its meaning and its complaints."""

from __future__ import annotations

import contextlib
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery import selectors
from wherry.machinery.selectors import (
    EVERYTHING,
    NOTHING,
    FieldTerm,
    FieldTerms,
    Requirement,
    Requirements,
    from_label_selector,
    from_labels,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {"app": "web", "tier": "front", "rank": "7", "empty": ""}


def test_doctests():
    assert doctest.testmod(selectors).failed == 0


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("! other", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web , tier = front ", True),
        ("app!=web", False),
        ("other!=web", True),
        ("app in (web,db)", True),
        ("app in ( db )", False),
        ("app notin (db)", True),
        ("other notin (db)", True),
        ("other in (db)", False),
        ("empty=", True),
        ("empty in (,)", True),
        ("empty in ()", True),
        ("app in (,web)", True),
        ("rank>6", True),
        ("rank>7", False),
        ("rank<1", False),
        ("app>1", False),
        ("other<1", False),
        ("in in (in)", False),
        ("notin", False),
        ("app=web,tier=back", False),
    ],
)
def test_selects_by_label(text, selected):
    assert parse_label_selector(text).matches(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,=", "found '=', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
    ],
)
def test_points_at_the_first_mistake(text, complaint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - compared whole below
        parse_label_selector(text)

    assert str(refused.value) == complaint


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("-a=b", 'key: Invalid value: "-a": name part must consist of alphanumeric characters'),
        ("a/b/c", 'key: Invalid value: "a/b/c": a qualified name must consist of'),
        ("a=-", r'values\[0\]\[a\]: Invalid value: "-": a valid label must be an empty string or consist of'),
        ("a=" + "b" * 64, "must be no more than 63 bytes"),
        ("a>b", "for 'Gt', 'Lt' operators, the value must be an integer"),
        ("a" * 70_000, "may not be longer than 65536 characters"),
    ],
)
def test_checks_keys_and_values(text, part):
    with pytest.raises(ValueError, match=part):
        parse_label_selector(text)


def test_blanks_cost_nothing():
    assert parse_label_selector(" " * 65_536) == EVERYTHING


def test_prints_one_text_for_one_meaning():
    parsed = parse_label_selector("z in (b,a), !y ,x,  w==1,v!=2,u notin(c),t>3,s<4,r=")

    assert str(parsed) == "r=,s<4,t>3,u notin (c),v!=2,w=1,x,!y,z in (a,b)"


@given(st.text(alphabet="ab=!<>(), in", max_size=30))
def test_printing_loses_nothing(text):
    with contextlib.suppress(ValueError):
        parsed = parse_label_selector(text)
        assert parse_label_selector(str(parsed)) == parsed


def test_compiles_the_selector_object():
    expressions = [
        {"key": "b", "operator": "In", "values": ["2", "1"]},
        {"key": "c", "operator": "NotIn", "values": ["3"]},
        {"key": "d", "operator": "Exists"},
        {"key": "e", "operator": "DoesNotExist", "values": []},
    ]

    compiled = from_label_selector({"matchLabels": {"a": "1"}, "matchExpressions": expressions})

    assert str(compiled) == "a=1,b in (1,2),c notin (3),d,!e"
    assert compiled.terms[0] == Requirement("a", "=", ("1",))


def test_a_missing_selector_selects_nothing_and_an_empty_one_everything():
    assert from_label_selector(None) == from_labels(None) == from_labels({}) == NOTHING
    assert from_label_selector({}) == parse_label_selector("") == EVERYTHING
    assert (NOTHING.matches(LABELS), NOTHING.selects_everything) == (False, False)
    assert (EVERYTHING.matches({}), EVERYTHING.selects_everything) == (True, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["1"]}]},
        {"matchExpressions": [{"operator": "Exists"}]},
        {"matchExpressions": [1]},
        {"matchLabels": {"a": 1}},
        {"matchLabels": ["a"]},
        "a=b",
    ],
)
def test_refuses_wrong_selector_objects(wrong):
    with pytest.raises(ValueError, match=r"Invalid value|not a "):
        from_label_selector(wrong)


def test_compiles_a_plain_map():
    assert from_labels({"app": "web"}) == Requirements((Requirement("app", "=", ("web",)),))


def test_selects_by_field():
    terms = parse_field_selector("spec.nodeName=n1,status.phase!=Failed,,metadata.name==web")

    assert terms.matches({"spec.nodeName": "n1", "metadata.name": "web", "status.phase": "Running"})
    assert not terms.matches({"spec.nodeName": "n2", "metadata.name": "web"})
    assert terms.names == {"spec.nodeName", "status.phase", "metadata.name"}
    assert [terms.required(name) for name in ("metadata.name", "status.phase", "x")] == ["web", None, None]


def test_a_field_that_is_not_there_is_empty():
    assert parse_field_selector("spec.nodeName=").matches({})
    assert parse_field_selector("spec.nodeName!=n1").matches({})
    assert parse_field_selector("").selects_everything


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        (r"a=b\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_refuses_wrong_field_selectors(text, complaint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - compared whole below
        parse_field_selector(text)

    assert str(refused.value) == complaint


@given(st.lists(st.tuples(st.sampled_from(["a", "b.c"]), st.text(max_size=8), st.booleans()), max_size=3))
def test_field_terms_survive_printing(terms):
    wanted = FieldTerms(tuple(FieldTerm(*term) for term in terms))

    assert parse_field_selector(str(wanted)) == wanted
