"""Duplicate fields: found exactly, in JSON and in YAML."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery.schema import duplicate_fields, schema_for, walk

CONFIG_MAP = schema_for("v1", "ConfigMap")


def duplicates(body: bytes) -> list[str]:
    return duplicate_fields(body, walk(orjson.loads(body), CONFIG_MAP).key_count)


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"data":{"a":"1","b":"2"}}', []),
        (b'{"data":{"a":"1","a":"2"}}', ["data.a"]),
        (b'{"data" : {"a" :"1","a"\n:"2", "a":"3"}}', ["data.a"]),
        (b'{"kind":"x","unknown":[{"a":1},{"a":1,"a":2}],"kind":"y"}', ["unknown[1].a", "kind"]),
        (b'{"data":{"a":"say \\": twice","b":"\\":\\":"}}', []),
        (b'{"data":{"a":"1"},"data":{"a":"1"}}', ["data"]),
        (b'{"metadata":{"labels":null},"a\\u0062":1,"ab":2}', ["ab"]),
    ],
)
def test_a_field_that_stands_twice_is_named_once(body, paths):
    assert duplicates(body) == paths


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b"data:\n  a: x\n  b: y\n", []),
        (b"data:\n  a: x\n  a: y\n", ["data.a"]),
        (b"items:\n- a: 1\n- {a: 1, a: 2}\n", ["items[1].a"]),
        (b"", []),
    ],
)
def test_yaml_is_read_too(body, paths):
    assert duplicate_fields(body, 0, is_yaml=True) == paths


def test_yaml_aliases_cost_no_exponential_time():
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))

    assert duplicate_fields(f"a0: &a0 x\n{levels}".encode(), 0, is_yaml=True) == []


keys = st.sampled_from(["a", "b", '"', '":', "data", "é"])


@given(
    st.dictionaries(keys, st.text('":ab \\', max_size=6) | st.dictionaries(keys, st.text('":', max_size=4), max_size=4))
)
def test_what_an_encoder_wrote_has_no_duplicates(value):
    assert duplicates(orjson.dumps(value)) == []
