"""What schemas of custom kinds say about values, in Kubernetes' words."""

import pytest

from wherry.machinery.schema.values import NOTHING, checker

OLDEST = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}}}


def complaints(schema, value, old=NOTHING):
    return [str(error) for error in checker(schema)(value, "f", old)]


@pytest.mark.parametrize(
    ("schema", "value", "complaint"),
    [
        ({"type": "integer"}, "a", 'Invalid value: "string": f in body must be of type integer: "string"'),
        ({"type": "boolean"}, None, 'Invalid value: "null": f in body must be of type boolean: "null"'),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
        ),
        ({"minimum": 2, "exclusiveMinimum": True}, 2, "Invalid value: 2: f in body should be greater than 2"),
        ({"maximum": 1.5}, 2, "Invalid value: 2: f in body should be less than or equal to 1.5"),
        ({"multipleOf": 3}, 4, "Invalid value: 4: f in body should be a multiple of 3"),
        ({"minLength": 2}, "é", 'Invalid value: "é": f in body should be at least 2 chars long'),
        ({"maxLength": 1}, "ab", "Too long: may not be more than 1 characters"),
        ({"pattern": "^a+$"}, "b", "Invalid value: \"b\": f in body should match '^a+$'"),
        ({"type": "string", "format": "ipv4"}, "x", 'Invalid value: "x": f in body must be of type ipv4: "x"'),
        ({"enum": ["b", "a", 1]}, "c", 'Unsupported value: "c": supported values: "1", "a", "b"'),
        ({"minItems": 1}, [], "Invalid value: []: f in body should have at least 1 items"),
        ({"maxItems": 1}, [1, 2], "Too many: 2: must have at most 1 items"),
        ({"minProperties": 1}, {}, "Invalid value: {}: f in body should have at least 1 properties"),
        ({"maxProperties": 0}, {"a": 1}, "Too many: 1: must have at most 0 items"),
        ({"minimum": 0.0}, -1, "Invalid value: -1: f in body should be greater than or equal to 0"),
        ({"not": {"required": ["a"]}}, {"a": 1}, 'Invalid value: {"a":1}: "f" must not validate the schema (not)'),
    ],
)
def test_a_value_breaks_a_rule(schema, value, complaint):
    assert complaints(schema, value) == [f"f: {complaint}"]


def test_lists_of_type_set_and_map_have_no_twins():
    by_two = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]}

    assert complaints({"x-kubernetes-list-type": "set"}, ["a", "b", "a"]) == ['f[2]: Duplicate value: "a"']
    assert complaints(by_two, [{"port": 1, "protocol": "TCP", "x": 1}, {"port": 1, "protocol": "UDP"}]) == []
    assert complaints(by_two, [{"port": 1}, {"port": 1}]) == ['f[1]: Duplicate value: {"port":1}']


def test_alternatives_are_tried_and_the_nearest_explains():
    schema = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}

    assert complaints(schema, {"a": 1}) == []
    assert complaints(schema, {"a": 1, "b": 1}) == [
        'f: Invalid value: {"a":1,"b":1}: "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    ]
    assert complaints({"anyOf": schema["oneOf"]}, {}) == [
        'f: Invalid value: {}: "f" must validate at least one schema (anyOf)',
        "f.a: Required value",
    ]


def test_nested_alternatives_are_looked_at_once_each():
    schema = {"required": ["never"]}
    for _ in range(40):
        schema = {"oneOf": [schema, {"required": ["never"]}]}

    assert len(complaints(schema, {})) > 1


def test_what_stays_as_it_was_is_not_judged():
    listed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"k": {"type": "string"}, **OLDEST["properties"]}},
    }
    old = [{"k": "x", "a": "long"}, {"k": "y", "a": "s"}]

    assert complaints(OLDEST, {"a": "long", "b": 1}, {"a": "long"}) == []
    assert complaints(OLDEST, {"a": "longer"}, {"a": "long"}) == ["f.a: Too long: may not be more than 1 characters"]
    assert complaints(listed, [{"k": "y", "a": "long"}, {"k": "x", "a": "long"}], old) == [
        "f[0].a: Too long: may not be more than 1 characters"
    ]


def test_a_pattern_that_python_would_follow_for_ever_is_linear():
    assert len(complaints({"pattern": "^(a+)+$"}, "a" * 5_000 + "b")) == 1
