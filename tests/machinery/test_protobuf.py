"""Protobuf bodies: what kubectl sends, and what it would never send."""

from __future__ import annotations

import base64
import contextlib
import doctest
import json
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery.protobuf import MAGIC, decode, decode_delete_options, wire

# Bodies as kubectl 1.37 sent them; objects as `--dry-run=client -o json` prints them, less nulls and empty objects.
RECORDED = json.loads((Path(__file__).parent / "kubectl_bodies.json").read_text())


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    encoded = b""
    while number > 0x7F:
        encoded, number = encoded + bytes([number & 0x7F | 0x80]), number >> 7
    return encoded + bytes([number])


def field(number: int, value: int | float | str | bytes) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    payload = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def body(api_version: str, kind: str, *fields: bytes) -> bytes:
    return (
        MAGIC
        + field(1, field(1, api_version) + field(2, kind))
        + field(2, b"".join(fields))
        + field(3, "")
        + field(4, "")
    )


def decoded(api_version: str, kind: str, *fields: bytes) -> dict:
    result = decode(body(api_version, kind, *fields))
    assert (result.pop("apiVersion"), result.pop("kind")) == (api_version, kind)
    return result


def test_doctests():
    assert doctest.testmod(wire).failed == 0


@pytest.mark.parametrize("recorded", RECORDED, ids=[recorded["command"] for recorded in RECORDED])
def test_reads_what_kubectl_sends(recorded):
    assert decode(base64.b64decode(recorded["body"])) == recorded["object"]


def test_zero_is_kept_only_behind_pointers():
    spec = field(1, 0) + field(5, 0) + field(6, 0) + field(7, 0)

    assert decoded("apps/v1", "Deployment", field(2, spec)) == {"spec": {"replicas": 0, "revisionHistoryLimit": 0}}


def test_negative_numbers_are_twos_complement():
    assert decoded("scheduling.k8s.io/v1", "PriorityClass", field(2, -5)) == {"value": -5}


def test_times_have_seconds_and_an_empty_time_is_unset():
    metadata = field(8, field(1, 1795370258) + field(2, 999)) + field(9, b"")

    assert decoded("v1", "ConfigMap", field(1, metadata)) == {"metadata": {"creationTimestamp": "2026-11-22T17:57:38Z"}}


def test_micro_times_have_six_digits():
    lease = field(2, field(4, field(1, 0) + field(2, 1_500)))

    assert decoded("coordination.k8s.io/v1", "Lease", lease) == {"spec": {"renewTime": "1970-01-01T00:00:00.000001Z"}}


def test_int_or_string_keeps_zero():
    def port(target: bytes) -> dict:
        return decoded("v1", "Service", field(2, field(1, field(4, target))))["spec"]["ports"][0]

    assert port(field(1, 0) + field(2, 0)) == {"targetPort": 0}
    assert port(field(1, 1) + field(3, "http")) == {"targetPort": "http"}


def test_maps_take_zero_for_what_is_absent():
    data = field(2, field(1, "a") + field(2, "1")) + field(2, field(1, "b")) + field(2, field(2, "2"))

    assert decoded("v1", "ConfigMap", data) == {"data": {"a": "1", "b": "", "": "2"}}


def test_packed_and_plain_numbers_are_the_same_list():
    context = field(4, 1) + field(4, varint(2) + varint(300))

    assert decoded("v1", "Pod", field(2, field(14, context))) == {
        "spec": {"securityContext": {"supplementalGroups": [1, 2, 300]}}
    }


def test_messages_in_pieces_are_merged_and_unknown_fields_skipped():
    pieces = (
        field(1, field(1, "a")),
        field(99, 5),
        field(98, 1.5),
        varint(97 << 3 | 5) + bytes(4),
        field(1, field(3, "ns")),
    )

    assert decoded("v1", "ConfigMap", *pieces) == {"metadata": {"name": "a", "namespace": "ns"}}


def test_json_is_embedded():
    revision = field(2, field(1, b'{"spec": [1, null]}')) + field(3, 7)

    assert decoded("apps/v1", "ControllerRevision", revision) == {"data": {"spec": [1, None]}, "revision": 7}


def test_embedded_structs_are_part_of_their_parent():
    volume = field(1, "v") + field(2, field(2, b""))

    assert decoded("v1", "Pod", field(2, field(1, volume))) == {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}


def test_json_schema_unions():
    string = field(5, "string")
    schema = (
        field(24, field(1, string)) + field(30, field(1, 0)) + field(33, field(1, 1) + field(2, string)) + field(9, 1.5)
    )
    entry = field(32, field(1, "d") + field(2, field(2, "x")))
    version = field(4, field(1, schema + entry))

    crd = decoded("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, field(7, version)))

    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "items": {"type": "string"},
        "additionalProperties": False,
        "additionalItems": {"type": "string"},
        "maximum": 1.5,
        "dependencies": {"d": ["x"]},
    }


def test_delete_options_belong_to_every_version():
    options = body("apps/v1", "DeleteOptions", field(1, 0), field(2, field(1, "u")), field(4, "Orphan"))

    assert decode_delete_options(options) == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
        "propagationPolicy": "Orphan",
    }


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (b"", "not protobuf"),
        (b"{}", "not protobuf"),
        (MAGIC, 'no protobuf form of kind "" in version ""'),
        (body("v1", "Nothing"), 'no protobuf form of kind "Nothing" in version "v1"'),
        (body("example.com/v1", "Pod"), 'no protobuf form of kind "Pod" in version "example.com/v1"'),
        (body("v1", "ConfigMap", field(1, 5)), "field metadata of core.ConfigMap: wire type 0, expected 2"),
        (body("v1", "ConfigMap", field(1, field(1, b"\xff"))), "not UTF-8"),
        (body("v1", "ConfigMap", b"\x0a\x7f"), "unexpected end"),
        (body("v1", "ConfigMap", b"\x0a" + b"\xff" * 9 + b"\x01"), "unexpected end"),
        (body("v1", "ConfigMap", b"\xff" * 11), "more than 64 bits"),
        (body("v1", "ConfigMap", b"\x0b\x0c"), "wire type 3 is not supported"),
        (body("v1", "ConfigMap", b"\x02\x00"), "illegal field number 0"),
        (body("v1", "ConfigMap", field(1, field(8, field(1, 2**62)))), "out of range"),
        (body("apps/v1", "ControllerRevision", field(2, field(1, b"{"))), "unexpected end of data"),
        (body("v1", "ConfigMap", b"\x12\x00" * 300_000), "may not have more than 200000 fields"),
        (MAGIC + field(3, "gzip"), "encoded contents are not supported"),
    ],
)
def test_refuses_what_it_cannot_read(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(wrong)


def test_a_body_of_something_else_is_no_delete_options():
    with pytest.raises(ValueError, match='holds a "Pod"'):
        decode_delete_options(body("v1", "Pod"))


def test_nesting_is_bounded():
    schema = b""
    for _ in range(500):
        schema = field(28, schema)
    version = field(4, field(1, schema))

    with pytest.raises(ValueError, match="nested deeper than 64 levels"):
        decode(body("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, field(7, version))))


def test_a_hostile_body_is_answered_soon():
    started = time.process_time()

    with contextlib.suppress(ValueError):
        decode(body("v1", "Pod", field(2, field(2, b"\x3a\x00" * 199_000))))

    assert time.process_time() - started < 5


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_a_value_error(data):
    for hostile in (MAGIC + data, body("v1", "Pod", data), body("v1", "Pod", field(2, data))):
        with contextlib.suppress(ValueError):
            json.dumps(decode(hostile), allow_nan=False)


@given(st.sampled_from(RECORDED), st.data())
def test_truncated_and_damaged_bodies_decode_or_are_a_value_error(recorded, data):
    whole = base64.b64decode(recorded["body"])
    position = data.draw(st.integers(4, len(whole) - 1))

    for damaged in (
        whole[:position],
        whole[:position] + bytes([data.draw(st.integers(0, 255))]) + whole[position + 1 :],
    ):
        with contextlib.suppress(ValueError):
            json.dumps(decode(damaged), allow_nan=False)
