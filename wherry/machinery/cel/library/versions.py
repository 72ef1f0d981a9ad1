"""`semver('1.2.3')`: versions that can be compared."""

from __future__ import annotations

import re
from typing import Any

from wherry.machinery.cel.library.base import SEMVER, Function, opaque

_NUMBER = r"(0|[1-9][0-9]{0,18})"
_WORDS = r"[0-9A-Za-z-]{1,64}(?:\.[0-9A-Za-z-]{1,64}){0,15}"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORDS}))?(?:\+{_WORDS})?")


def _version(text: str) -> Any:
    if not _SEMVER.fullmatch(text):
        raise ValueError(f"invalid semantic version {text[:64]!r}")
    return opaque(SEMVER, text)


def _rank(version: Any) -> tuple[Any, ...]:
    found = _SEMVER.fullmatch(version.text)
    major, minor, patch, before = found.groups() if found else ("0", "0", "0", None)
    # A pre-release comes before its release, numbers come before words.
    words = tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in (before or "").split("."))
    return int(major), int(minor), int(patch), before is None, words


def _compare(one: Any, other: Any) -> int:
    return (_rank(one) > _rank(other)) - (_rank(one) < _rank(other))


FUNCTIONS = [
    Function("semver", SEMVER, ("string",), _version, is_member=False),
    Function("isSemver", "bool", ("string",), lambda text: bool(_SEMVER.fullmatch(text)), is_member=False),
    Function("major", "int", (SEMVER,), lambda version: _rank(version)[0]),
    Function("minor", "int", (SEMVER,), lambda version: _rank(version)[1]),
    Function("patch", "int", (SEMVER,), lambda version: _rank(version)[2]),
    Function("compareTo", "int", (SEMVER, SEMVER), _compare),
    Function("isLessThan", "bool", (SEMVER, SEMVER), lambda one, other: _compare(one, other) < 0),
    Function("isGreaterThan", "bool", (SEMVER, SEMVER), lambda one, other: _compare(one, other) > 0),
]
