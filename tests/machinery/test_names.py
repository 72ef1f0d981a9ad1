"""Names: the rules, in the words that users of Kubernetes know."""

from __future__ import annotations

import doctest
from random import Random

import pytest

from wherry.machinery import names

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def test_doctests():
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (names.dns1123_label, "a"),
        (names.dns1123_label, "0-9"),
        (names.dns1123_label, "a" * 63),
        (names.dns1123_subdomain, "a.b-c.0"),
        (names.dns1123_subdomain, "a" * 253),
        (names.wildcard_dns1123_subdomain, "*.example.com"),
        (names.dns1035_label, "web-1"),
        (names.qualified_name, "app"),
        (names.qualified_name, "app.kubernetes.io/Name_1.x"),
        (names.label_value, ""),
        (names.label_value, "A_b.c-1"),
        (names.path_segment, "system:node"),
        (names.path_segment, "..."),
        (names.config_key, ".bashrc"),
        (names.environment_name, "1 odd-name!"),
        (names.c_identifier, "_MyVar1"),
        (names.http_header, "X-Forwarded-For"),
        (names.percent, "25%"),
        (names.port_name, "http-1"),
        (names.port_number, 65535),
    ],
)
def test_accepts_legal_names(check, name):
    assert check(name) == []


@pytest.mark.parametrize(
    ("check", "name", "errors"),
    [
        (names.dns1123_label, "Web", [LABEL]),
        (names.dns1123_label, "web\n", [LABEL]),
        (names.dns1123_label, "a.b", ["must not contain dots"]),
        (names.dns1123_label, "a" * 64, ["must be no more than 63 bytes"]),
        (names.dns1123_subdomain, "", [SUBDOMAIN]),
        (names.dns1123_subdomain, "a..b", [SUBDOMAIN]),
        (names.dns1123_subdomain, "é", [SUBDOMAIN]),
        (names.qualified_name, "", ["name part must be non-empty", f"name part {QUALIFIED}"]),
        (names.qualified_name, "/a", ["prefix part must be non-empty"]),
        (names.qualified_name, "A/a", [f"prefix part {SUBDOMAIN}"]),
        (names.qualified_name, "-a", [f"name part {QUALIFIED}"]),
        (names.label_value, "x" * 64, ["must be no more than 63 bytes"]),
        (names.path_segment, "..", ["may not be '..'"]),
        (names.path_segment, "a/b%", ["may not contain '/'", "may not contain '%'"]),
        (names.config_key, "..", ["must not be '..'"]),
        (names.config_key, "..data", ["must not start with '..'"]),
        (names.port_name, "-80--", [
            "must contain at least one letter (a-z)",
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen",
        ]),
        (names.port_number, 0, ["must be between 1 and 65535, inclusive"]),
    ],
)  # fmt: skip
def test_says_what_is_wrong_in_kubernetes_words(check, name, errors):
    assert check(name) == errors


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (names.wildcard_dns1123_subdomain, "*.*.com"),
        (names.dns1035_label, "1web"),
        (names.qualified_name, "a/b/c"),
        (names.label_value, "-a"),
        (names.config_key, "a/b"),
        (names.environment_name, ""),
        (names.environment_name, "A=B"),
        (names.c_identifier, "a-b"),
        (names.http_header, "X Y"),
        (names.percent, "5"),
    ],
)
def test_refuses_illegal_names(check, name):
    assert len(check(name)) == 1


def test_generated_names_are_legal_repeatable_and_fit_a_label():
    name = names.generate_name("web-" * 30, Random(7))

    assert name == names.generate_name("web-" * 30, Random(7))
    assert len(name) == 63
    assert names.dns1123_label(name) == []


def test_hashes_of_different_values_differ():
    hashes = {names.safe_hash(str(number).encode()) for number in range(1000)}

    assert len(hashes) == 1000
    assert all(names.label_value(text) == [] for text in hashes)
