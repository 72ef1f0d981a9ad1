"""Merge patch: RFC 7386."""

from __future__ import annotations

import copy
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import apiserver.patch.merge
from apiserver.patch import PatchError
from apiserver.patch.merge import json_merge

values = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=1),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def by_the_book(target, patch):
    """The pseudo code of RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = by_the_book(target.get(name), value)
    return target


def test_doctests():
    assert doctest.testmod(apiserver.patch.merge).failed == 0


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1, None]}, {"a": [1, None]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_follows_the_examples_of_the_rfc(document, patch, result):
    assert json_merge(document, patch) == result


@given(documents, documents)
def test_does_what_the_rfc_says_and_leaves_its_arguments_alone(document, patch):
    before = copy.deepcopy((document, patch))

    assert json_merge(document, patch) == by_the_book(document, patch)
    assert (document, patch) == before


def test_shares_what_it_does_not_touch():
    document = {"spec": {"a": 1}, "metadata": {}}

    assert json_merge(document, {"metadata": {"x": 1}})["spec"] is document["spec"]


@pytest.mark.parametrize("patch", [None, [], "x", 1])
def test_refuses_what_is_no_object(patch):
    with pytest.raises(PatchError, match="must be an object"):
        json_merge({}, patch)


def test_depth_is_bounded():
    deep: dict = {}
    for _ in range(1000):
        deep = {"a": deep}

    with pytest.raises(PatchError, match="nested deeper than 200 levels"):
        json_merge({}, deep)
