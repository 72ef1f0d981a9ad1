"""Paths into objects, as CustomResourceDefinitions write them."""

import pytest

from wherry.machinery import jsonpath
from wherry.machinery.schema.formats import is_in_format

OBJECT = {
    "metadata": {"labels": {"a.b/c": "dotted"}},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}], "on": True},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.on", [True]),
        ("{.spec.on}", [True]),
        ("$.spec['on']", [True]),
        (r".metadata.labels.a\.b/c", ["dotted"]),
        (".metadata.labels['a.b/c']", ["dotted"]),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[*].name", ["http", "https"]),
        ('.spec.ports[?(@.name=="https")].port', [443]),
        (".spec.ports[?(@.port>80)].name", ["https"]),
        (".spec.ports[?(@.missing)].name", []),
        (".spec.ports[7]", []),
        (".status.phase.deep", []),
    ],
)
def test_a_path_finds_places(path, found):
    assert list(jsonpath.find(jsonpath.parse(path), OBJECT)) == found


@pytest.mark.parametrize("path", ["", ".a[", ".a[?(x)]", ".a..b", ".a[1:2]", "."[:0] + "[]", ".a b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match=r"unexpected|is not a path"):
        jsonpath.parse(path)


@pytest.mark.parametrize(
    ("format", "right", "wrong"),
    [
        ("date-time", "2026-11-23T00:00:00Z", "2026-11-23"),
        ("date", "2026-11-23", "2026-13-01"),
        ("duration", "1h30m", "soon"),
        ("byte", "YQ==", "Y"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "7c83c7e9-3021-41fa-9e6e-d320185d8cc9", "7c83"),
        ("email", "a@example.com", "a"),
        ("uri", "https://example.com", "x"),
        ("mac", "00:00:5e:00:53:01", "00:00"),
    ],
)
def test_a_format_tells_right_from_wrong(format, right, wrong):
    assert (is_in_format(right, format), is_in_format(wrong, format)) == (True, False)
    assert is_in_format(wrong, "nobody-knows-this")
