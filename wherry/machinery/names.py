"""Names: what may be called what, and the names that the system makes up itself.

A check returns what is wrong, in Kubernetes' own words because people search for them; an empty list means the name is
fine:

>>> dns1123_label("web-1"), dns1123_label("web.1")
([], ['must not contain dots'])

Kubernetes: apimachinery `util/validation`, `api/validation/path` and `util/rand`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

# Without vowels and the digits 0, 1 and 3, so that no random word offends or misleads.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_GENERATED_BASE = 63 - SUFFIX_LENGTH

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


class _Rule:
    """A regular expression with the sentence that explains it."""

    def __init__(self, pattern: str, sentence: str, *examples: str) -> None:
        self.matches = re.compile(pattern, re.ASCII).fullmatch
        # The space after each comma is doubled in Kubernetes as well.
        given = "(e.g. " + " or ".join(f"'{example}', " for example in examples) if examples else "("
        self.message = f"{sentence} {given}regex used for validation is '{pattern}')"

    def errors(self, value: str) -> list[str]:
        return [] if self.matches(value) else [self.message]


_dns1123_label = _Rule(
    _LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    "my-name",
    "123-abc",
)
_dns1123_subdomain = _Rule(
    _SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    "example.com",
)
_wildcard_subdomain = _Rule(
    rf"\*\.{_SUBDOMAIN}",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
_dns1035_label = _Rule(
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
_qualified = _Rule(
    _QUALIFIED,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    "MyName",
    "my.name",
    "123-abc",
)
_label_value = _Rule(
    f"({_QUALIFIED})?",
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
)
_config_key = _Rule(
    "[-._a-zA-Z0-9]+",
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)
_c_identifier = _Rule(
    "[A-Za-z_][A-Za-z0-9_]*",
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_'",
    "my_name",
    "MY_NAME",
    "MyName",
)
_http_header = _Rule(
    "[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name"
)
_url_path = _Rule(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", "Invalid path")
_percent = _Rule("[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%")


def dns1123_label(value: str) -> list[str]:
    """Namespaces, containers, volumes: at most 63 lower case letters, digits and hyphens."""
    errors = _too_long(value, 63)
    if not _dns1123_label.matches(value):
        errors.append("must not contain dots" if _dns1123_subdomain.matches(value) else _dns1123_label.message)
    return errors


def dns1123_subdomain(value: str) -> list[str]:
    """Most objects: at most 253 characters, labels joined by dots."""
    return _too_long(value, 253) + _dns1123_subdomain.errors(value)


def wildcard_dns1123_subdomain(value: str) -> list[str]:
    """Ingress hosts such as `*.example.com`."""
    return _too_long(value, 253) + _wildcard_subdomain.errors(value)


def dns1035_label(value: str) -> list[str]:
    """Services: a label that begins with a letter."""
    return _too_long(value, 63) + _dns1035_label.errors(value)


def qualified_name(value: str) -> list[str]:
    """Keys of labels and annotations, finalizers, resource names: `[prefix/]name`."""
    *prefix, name = value.split("/")
    if len(prefix) > 1:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_qualified.message} {optional}"]
    errors = [] if not prefix else ["must be non-empty"] if not prefix[0] else dns1123_subdomain(prefix[0])
    of_name = (_too_long(name, 63) if name else ["must be non-empty"]) + _qualified.errors(name)
    return [f"prefix part {error}" for error in errors] + [f"name part {error}" for error in of_name]


def label_value(value: str) -> list[str]:
    """Values of labels: empty, or at most 63 characters."""
    return _too_long(value, 63) + _label_value.errors(value)


def path_segment(value: str) -> list[str]:
    """RBAC objects: anything that can stand between two slashes of a URL."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def config_key(value: str) -> list[str]:
    """Keys of config maps and secrets, which become file names."""
    return _too_long(value, 253) + _config_key.errors(value) + _parent_directory(value)


def environment_name(value: str) -> list[str]:
    """Environment variables: printable ASCII without `=`."""
    errors = [] if value else ["environment variable name must be non-empty"]
    if any(not " " <= character <= "~" or character == "=" for character in value):
        errors.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return errors


def c_identifier(value: str) -> list[str]:
    """Names that shells and C programs accept for variables."""
    return _c_identifier.errors(value)


def http_header(value: str) -> list[str]:
    """Headers of HTTP probes."""
    return _http_header.errors(value)


def url_path(value: str) -> list[str]:
    """The path of a name such as `example.com/ingress`."""
    return _url_path.errors(value)


def percent(value: str) -> list[str]:
    """Percentages such as `25%`."""
    return _percent.errors(value)


def port_name(value: str) -> list[str]:
    """Named ports: at most 15 lower case letters, digits and hyphens, a letter among them."""
    errors = _too_long(value, 15)
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number(value: int) -> list[str]:
    """TCP, UDP and SCTP ports."""
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} bytes"] if len(value.encode(errors="replace")) > limit else []


def _parent_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def generate_suffix(random: Random) -> str:
    """Five characters that make a name unique with good chance."""
    return "".join(random.choices(SAFE_ALPHABET, k=SUFFIX_LENGTH))


def generate_name(base: str, random: Random) -> str:
    """The name of an object created with `generateName: base`.

    >>> len(generate_name("x" * 300, Random(1)))
    63
    """
    return base[:MAX_GENERATED_BASE] + generate_suffix(random)


@lru_cache(maxsize=1024)
def safe_hash(value: bytes) -> str:
    """A short name for a value, such as a pod template: 32 bits of FNV-1a in the safe alphabet.

    >>> safe_hash(b"hello")
    '5779d75c67'
    """
    digest = 2166136261
    for byte in value:
        digest = ((digest ^ byte) * 16777619) & 0xFFFFFFFF
    return "".join(SAFE_ALPHABET[ord(digit) % len(SAFE_ALPHABET)] for digit in str(digest))
