"""Rules in CEL of custom kinds: checked when declared, judged on every write, in Kubernetes' words."""

import pytest

from tests.apiserver.custom_kinds import DEFINITIONS, SPEC, WIDGETS, a_definition, a_version, a_widget, declared
from tests.apiserver.local_api import MERGE


def spec_with(*rules, **fields):
    return {**SPEC, "properties": {**SPEC["properties"], **fields}, "x-kubernetes-validations": list(rules)}


def ruled(*rules, **fields):
    return a_definition(versions=[a_version(spec=spec_with(*rules, **fields))])


def causes(answer):
    return [(cause["field"], cause["reason"], cause["message"]) for cause in answer.json["details"]["causes"]]


async def test_a_broken_rule_is_told_with_its_message_reason_and_place(api):
    await declared(
        api,
        ruled(
            {"rule": "self.size != 4"},
            {"rule": "self.size < 5", "message": "too large"},
            {"rule": "self.size < 6", "messageExpression": "'size is %d'.format([self.size])"},
            {"rule": "has(self.port)", "reason": "FieldValueRequired", "fieldPath": ".port", "message": "a port"},
            {"rule": "self.free.missing == 1"},
        ),
    )

    assert causes(await api.post(WIDGETS, a_widget(size=4, port=1, free={"missing": 1}))) == [
        ("spec", "FieldValueInvalid", 'Invalid value: "object": failed rule: self.size != 4')
    ]
    assert causes(await api.post(WIDGETS, a_widget(size=8, free={}))) == [
        ("spec", "FieldValueInvalid", 'Invalid value: "object": too large'),
        ("spec", "FieldValueInvalid", 'Invalid value: "object": size is 8'),
        ("spec.port", "FieldValueRequired", "Required value: a port"),
        (
            "spec",
            "FieldValueInvalid",
            'Invalid value: "object": no such key: missing evaluating rule: self.free.missing == 1',
        ),
    ]
    assert (await api.post(WIDGETS, a_widget(port=1, free={"missing": 1}))).status == 201


async def test_transition_rules_see_the_former_value(api):
    fixed = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}]}
    once = {
        "type": "integer",
        "x-kubernetes-validations": [
            {"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "optionalOldSelf": True}
        ],
    }
    await declared(api, ruled(shape=fixed, count=once))
    await api.made(WIDGETS, a_widget(shape="round", count=2))

    assert causes(await api.patch(f"{WIDGETS}/a", {"spec": {"shape": "flat"}}, MERGE)) == [
        ("spec.shape", "FieldValueInvalid", 'Invalid value: "string": is immutable')
    ]
    assert (await api.patch(f"{WIDGETS}/a", {"spec": {"count": 1}}, MERGE)).status == 422
    assert (await api.patch(f"{WIDGETS}/a", {"spec": {"count": 3}}, MERGE)).status == 200


async def test_a_new_rule_lets_unchanged_parts_be(api):
    await declared(api, ruled())
    await api.made(WIDGETS, {**a_widget(size=9), "status": {}})
    stricter = {"rule": "self.size < 5", "message": "too large"}
    change = {"spec": {"versions": [a_version(spec=spec_with(stricter))]}}
    await api.patch(f"{DEFINITIONS}/widgets.example.com", change, MERGE)

    assert (await api.patch(f"{WIDGETS}/a", {"metadata": {"labels": {"a": "b"}}}, MERGE)).status == 200
    assert (await api.patch(f"{WIDGETS}/a", {"spec": {"size": 8}}, MERGE)).status == 422


async def test_names_and_times_are_written_as_cel_can(api):
    rules = (
        {"rule": "self.__namespace__ == 'x' && self.max__dash__size > 1"},
        {"rule": "self.every > duration('30m') && self.at < timestamp('2027-01-01T00:00:00Z')"},
    )
    fields = {
        "namespace": {"type": "string"},
        "max-size": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "every": {"type": "string", "format": "duration"},
    }
    await declared(api, ruled(*rules, **fields))

    fine = a_widget(namespace="x", at="2026-11-23T00:00:00Z", every="1h", **{"max-size": 2})
    assert (await api.post(WIDGETS, fine)).status == 201
    assert (await api.post(WIDGETS, a_widget("b", namespace="x", at="2028-01-01T00:00:00Z", every="1h"))).status == 422


LOOPS = "self.names.all(a, self.names.all(b, a == b))"
UNBOUNDED = {"names": {"type": "array", "items": {"type": "string"}}}
BOUNDED = {"names": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 20}}}


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"rule": " "}, "rule: Required value: rule is not specified"),
        ({"rule": "self.size >"}, "compilation failed: ERROR: <input>:1:12: Syntax error: "),
        ({"rule": "self.size + 1"}, "cel expression must evaluate to a bool"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression must evaluate to a string"),
        (
            {"rule": "true", "fieldPath": ".nowhere"},
            'fieldPath: Invalid value: ".nowhere": fieldPath must be a valid path',
        ),
        ({"rule": "true", "reason": "Whim"}, 'reason: Unsupported value: "Whim": supported values: '),
        (
            {"rule": "has(self.size) && self.sise > 1"},
            "compilation failed: ERROR: <input>:1:23: undefined field 'sise'\n"
            " | has(self.size) && self.sise > 1\n | ......................^",
        ),
        (
            {"rule": "self.size > '1'"},
            "ERROR: <input>:1:11: found no matching overload for '_>_' applied to '(int, string)'",
        ),
        ({"rule": "self.parts.all(part, self.colour == part.name)"}, "undefined field 'colour'"),
        ({"rule": LOOPS}, "rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x"),
    ],
)
async def test_a_rule_out_of_order_is_refused_when_it_is_declared(api, rule, complaint):
    answer = await api.post(DEFINITIONS, ruled(rule, **UNBOUNDED))

    assert answer.status == 422
    assert complaint in answer.json["message"]
    assert "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]." in answer.json["message"]


async def test_bounds_make_a_rule_affordable_and_an_old_rule_stays(api):
    assert (await api.post(DEFINITIONS, ruled({"rule": LOOPS}, **BOUNDED))).status == 201
    change = {"spec": {"versions": [a_version(spec=spec_with({"rule": LOOPS}, **UNBOUNDED))]}}

    assert (await api.patch(f"{DEFINITIONS}/widgets.example.com", change, MERGE)).status == 200


async def test_items_without_a_past_have_no_transition_rules(api):
    items = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}

    answer = await api.post(DEFINITIONS, ruled(counts={"type": "array", "maxItems": 3, "items": items}))

    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in answer.json["message"]


async def test_rules_are_not_judged_where_values_are_not_what_they_should_be(api):
    await declared(api, ruled({"rule": "self.size != 4"}, mode={"type": "string", "enum": ["on"], "pattern": "^o"}))

    missing = causes(await api.post(WIDGETS, a_widget(size=4, mode="off")))
    matching = causes(await api.post(WIDGETS, a_widget(size=4, port=1, mode="on")))

    assert [field for field, _, _ in missing] == ["spec.mode", "<nil>"]
    assert missing[-1][1:] == (
        "FieldValueInvalid",
        'Invalid value: "null": some validation rules were not checked because the object was invalid; '
        "correct the existing errors to complete validation",
    )
    assert [field for field, _, _ in matching] == ["spec"]


@pytest.mark.parametrize(
    "rule",
    [
        "self.size > 1.5 && self.port != 'http'",
        "self.free.anything == 1 && !has(self.free.more)",
        "self.labels.any == 'x'",
        "self.max__dash__size > self.size",
        "self.points > 0",  # with a reserved word in its middle
        "self.until > timestamp('2026-01-01T00:00:00Z')",
        "self.color == null || self.color in ['red']",
    ],
)
async def test_a_rule_in_order_is_accepted(api, rule):
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    numbers = {name: {"type": "integer"} for name in ("max-size", "points")}
    fields = {"labels": texts, **numbers, "until": {"type": "string", "format": "date-time"}}

    answer = await api.post(DEFINITIONS, ruled({"rule": rule}, **fields))

    assert (answer.status, answer.json.get("message")) == (201, None)
