"""Regular expressions as Go and CEL have them (RE2): linear in the text, whatever the pattern.

Python's own would follow some patterns for ever, so the engine is asked, by expressions of ours.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?P?<[A-Za-z_]\w*>|(?!\?))", re.DOTALL)


@cache
def _program(text: str) -> Any:
    from cel_expr_python import cel

    config = cel.NewEnvConfigFromYaml("extensions:\n- name: regex\n- name: optional\n")
    variables = {"text": cel.Type.STRING, "pattern": cel.Type.STRING}
    return cel.NewEnv(config=config, variables=variables).compile(text)


def _run(program: str, text: str, pattern: str) -> Any:
    result = _program(program).eval(data={"text": text, "pattern": pattern})
    value = result.plain_value()
    if result.type().name() == "ERROR":
        raise ValueError(str(value).partition(": ")[2] or str(value))
    return value


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern is found anywhere in the text; ValueError when it is no pattern."""
    return bool(_run("text.matches(pattern)", text, pattern))


def can_match(pattern: str) -> str:
    """What is wrong with a pattern, or ""."""
    try:
        matches("", pattern)
    except ValueError as error:
        return str(error)
    return ""


def find(text: str, pattern: str) -> str:
    """The first match, or "" when there is none."""
    return str(_run("regex.extract(text, pattern).orValue('')", text, _whole(pattern)))


def find_all(text: str, pattern: str) -> list[str]:
    """All matches that do not overlap."""
    return list(_run("regex.extractAll(text, pattern)", text, _whole(pattern)))


def find_some(text: str, pattern: str, limit: int) -> list[str]:
    """The first matches, at most `limit`, or all for a negative one."""
    found = find_all(text, pattern)
    return found if limit < 0 else found[:limit]


def _whole(pattern: str) -> str:
    """The pattern as one group, without groups of its own.

    >>> _whole("(a|b)[(](?:c)")
    '((?:a|b)[(](?:c))'
    """
    return f"({_GROUP.sub(lambda found: '(?:' if found.group().startswith('(') else found.group(), pattern)})"
