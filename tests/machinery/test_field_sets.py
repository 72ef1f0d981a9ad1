"""Field sets and topology: how objects divide into fields, and the algebra of sets of them."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery.schema import Schema, field_sets, schema_for, topology
from wherry.machinery.schema.field_sets import difference, intersection, is_well_formed, paths, union
from wherry.machinery.schema.topology import topology_of

trees = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from([".", "f:a", "f:b", 'k:{"n":1}']), inner, min_size=1, max_size=3).map(
        lambda node: {label: {} if label == "." else below for label, below in node.items()}
    ),
    max_leaves=8,
)
sets = st.dictionaries(st.sampled_from(["f:a", "f:b"]), trees, max_size=2)


@pytest.mark.parametrize("module", [field_sets, topology])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


@given(sets, sets)
def test_the_operations_are_those_of_sets_of_paths(one, other):
    left, right = set(paths(one)), set(paths(other))

    assert set(paths(union(one, other))) == left | right
    assert set(paths(difference(one, other))) == left - right
    assert set(paths(intersection(one, other))) == left & right


@pytest.mark.parametrize(
    "fields", [{"a": {}}, {"f:a": []}, {"k:x": {}}, {"k:1": {}}, {"v:{}": {}}, [], {"f:a": {"x:": {}}}]
)
def test_what_is_no_set_is_recognized(fields):
    assert not is_well_formed(fields)


def test_a_custom_schema_divides_as_its_extensions_say():
    ports = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]}
    ports["items"] = {"type": "object", "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}}
    source = {
        "ports": ports,
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "plain": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    node = topology_of(Schema.from_openapi({"type": "object", "properties": source}))
    value = {"ports": [{"port": 1, "name": "a"}], "tags": ["x"], "plain": ["y"], "whole": {"k": "v"}}

    owned = node.owned(value | {"free": {"deep": {"list": [1], "n": 1}}}, containers=False)

    assert paths(owned) == [
        *(".plain", ".whole", ".free.deep", ".free.deep.list", ".free.deep.n"),
        *(".ports[port=1]", ".ports[port=1].name", ".ports[port=1].port", '.tags[="x"]'),
    ]


def test_a_comparison_says_what_was_added_changed_and_removed():
    node = topology_of(schema_for("v1", "Service"))
    before = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}], "type": "ClusterIP"}}
    after = {"spec": {"ports": [{"port": 82}, {"port": 80, "name": "b"}], "externalIPs": []}}

    changed, removed = node.compare(before, after)

    assert paths(changed) == [
        *(".spec.externalIPs", '.spec.ports[port=82,protocol="TCP"]', '.spec.ports[port=80,protocol="TCP"].name'),
        '.spec.ports[port=82,protocol="TCP"].port',
    ]
    assert paths(removed) == [
        *(".spec.type", '.spec.ports[port=81,protocol="TCP"]', '.spec.ports[port=81,protocol="TCP"].port'),
    ]


def test_recursive_schemas_divide_as_deep_as_their_values():
    node = topology_of(schema_for("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
    inner = {"properties": {"a": {"properties": {"b": {"type": "string"}}}}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": inner}}]

    owned = node.owned({"spec": {"versions": versions, "group": "g"}}, containers=False)

    assert paths(owned) == [".spec.group", ".spec.versions"]
