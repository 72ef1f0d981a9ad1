"""JSON patch: RFC 6902, checked against another implementation, and safe against hostile patches."""

from __future__ import annotations

import contextlib
import copy
import doctest

import jsonpatch
import jsonpointer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import apiserver.patch.json_patch
from apiserver.patch import PatchError
from apiserver.patch.json_patch import PatchFailed, json_patch

KEYS = ["a", "b", "a/b", "m~n", "0", "-", ""]
values = st.recursive(
    st.none() | st.integers(-2, 2) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
tokens = st.sampled_from(["a", "b", "a~1b", "m~0n", "0", "1", "2", "-", ""])
pointers = st.lists(tokens, min_size=1, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
operations = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "test"]), "path": pointers, "value": values}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": pointers}),
    st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "from": pointers, "path": pointers}),
)


def test_doctests():
    assert doctest.testmod(apiserver.patch.json_patch).failed == 0


def _is_plain(patch):
    """Whether Kubernetes follows the RFC in all of it: it also replaces and copies a missing field and tests for it."""
    return not any(each["op"] in ("replace", "copy", "test") for each in patch)


@settings(max_examples=1000)
@given(documents, st.lists(operations, max_size=6))
def test_does_what_another_implementation_does(document, patch):
    try:
        expected = jsonpatch.apply_patch(copy.deepcopy(document), patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError):
        assume(_is_plain(patch))
        with pytest.raises(PatchError):
            json_patch(document, patch)
    else:
        assert json_patch(document, patch) == expected


@given(documents, st.lists(operations, max_size=6))
def test_leaves_object_and_patch_alone(document, patch):
    before = copy.deepcopy((document, patch))

    with contextlib.suppress(PatchError):
        json_patch(document, patch)

    assert (document, patch) == before


def test_shares_what_it_does_not_touch():
    document = {"spec": {"containers": [{"name": "a"}]}, "metadata": {"labels": {}}}

    result = json_patch(document, [{"op": "add", "path": "/metadata/labels/x", "value": "1"}])

    assert result["spec"] is document["spec"]
    assert document["metadata"]["labels"] == {}


def test_what_is_copied_is_independent():
    patch = [
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/y", "value": 2},
    ]

    assert json_patch({"a": {}}, patch) == {"a": {"x": 1, "y": 2}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "remove", "path": "/l/-1"}, [1, 2]),
        ({"op": "replace", "path": "/l/-3", "value": 0}, [0, 2, 3]),
        ({"op": "add", "path": "/l/-1", "value": 4}, [1, 2, 3, 4]),
        ({"op": "add", "path": "/l/-4", "value": 0}, [0, 1, 2, 3]),
        ({"op": "test", "path": "/l/-2", "value": 2}, [1, 2, 3]),
        ({"op": "remove", "path": "/l/01"}, [1, 3]),
        ({"op": "test", "path": "/missing", "value": None}, [1, 2, 3]),
        ({"op": "test", "path": "/missing"}, [1, 2, 3]),
        ({"op": "add", "path": "/l/1"}, [1, None, 2, 3]),
        ({"op": "replace", "path": "/l/0"}, [None, 2, 3]),
        ({"op": "copy", "from": "/missing", "path": "/l/0"}, [None, 1, 2, 3]),
        ({"op": "remove", "path": "in front/l/0"}, [2, 3]),
    ],
)
def test_what_kubernetes_takes_beyond_the_rfc(operation, result):
    assert json_patch({"l": [1, 2, 3]}, [operation]) == {"l": result}


def test_a_missing_field_may_be_replaced():
    assert json_patch({"a": {}}, [{"op": "replace", "path": "/a/b~2", "value": 1}]) == {"a": {"b~2": 1}}


def test_tells_true_from_one():
    assert json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}]) == {"a": 1}
    with pytest.raises(PatchFailed, match="testing value /a failed"):
        json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": True}])


@pytest.mark.parametrize("patch", [{}, None, ["add"]])
def test_refuses_what_is_no_patch(patch):
    with pytest.raises(PatchError) as refused:
        json_patch({"a": 1}, patch)

    assert not isinstance(refused.value, PatchFailed)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "", "value": []},
        {"op": "replace", "path": "/b/c", "value": 1},
        {"op": "replace", "path": "/a/1", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "path": 1, "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "copy", "path": "/a"},
        {"op": "copy", "from": "", "path": "/a"},
        {"op": "nothing", "path": "/a"},
        {"op": ["add"], "path": "/a"},
        {},
        None,
        {"op": "test", "path": "/a"},
        {"op": "test", "path": "/a", "value": None},
        {"op": "add", "path": "/a/2", "value": 1},
        {"op": "add", "path": "/a/" + "9" * 5000, "value": 1},
        {"op": "move", "from": "/a", "path": "/a/0"},
        {"op": "test", "path": "/a/1", "value": None},
    ],
)
def test_fails_when_the_patch_does_not_fit_the_object(operation):
    with pytest.raises(PatchFailed):
        json_patch({"a": [1]}, [operation])


def test_copies_cannot_blow_up_the_object():
    bomb = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(100)]

    with pytest.raises(PatchFailed, match="copies too much"):
        json_patch({"a": {"x": "x" * 100}}, bomb)


def test_the_limit_is_the_callers():
    double = [{"op": "copy", "from": "/a", "path": "/b"}]

    assert json_patch({"a": "x"}, double, limit_bytes=3) == {"a": "x", "b": "x"}
    with pytest.raises(PatchFailed, match="copies too much"):
        json_patch({"a": "x"}, double, limit_bytes=2)


def test_a_huge_list_cannot_be_moved_for_ever():
    patch = [{"op": "add", "path": "/a/0", "value": 0}] * 10_000

    with pytest.raises(PatchFailed, match="moves too many items"):
        json_patch({"a": [0] * 1_000_000}, patch)


def test_depth_is_no_danger():
    deep: dict = {}
    for _ in range(5000):
        deep = {"a": deep}

    with pytest.raises(PatchFailed, match="cannot be copied"):
        json_patch(
            {"a": deep}, [{"op": "test", "path": "/a", "value": deep}, {"op": "copy", "from": "/a", "path": "/b"}]
        )
