"""Checks of the standards: the registry, and what they look at.

    @check("restricted", "runAsUser", since=23)
    def run_as_user(pod: PodLook) -> Finding | None: ...

A check finds nothing, or a reason and its details in Kubernetes' own words. The newest of a name that is not newer than
the version asked for is the one that is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from apiserver.admission.pod_security.policy import Demand

Json = Mapping[str, Any]
NEWEST = 1_000_000


class Finding(NamedTuple):
    """What a pod must not have, and where it has it."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class PodLook:
    """A pod, or the template of one, as the checks look at it."""

    def __init__(self, metadata: Json, spec: Json) -> None:
        self.annotations: Json = metadata.get("annotations") or {}
        self.spec = spec
        self.context: Json = spec.get("securityContext") or {}
        kinds = ("initContainers", "containers", "ephemeralContainers")
        self.containers: list[Json] = [each for kind in kinds for each in spec.get(kind) or ()]
        self.is_windows = (spec.get("os") or {}).get("name") == "windows"
        # Its users are nobody outside of it.
        self.has_own_users = spec.get("hostUsers") is False

    def named(self, wanted: Callable[[Json], bool]) -> list[str]:
        """The names of the containers for whose security context that holds."""
        return [str(each.get("name", "")) for each in self.containers if wanted(each.get("securityContext") or {})]

    def setters(self, field: str, is_bad: Callable[[Any], bool]) -> tuple[list[str], list[Any]]:
        """Who sets a field of a security context to something bad, as sentences begin, and to what."""
        values = [self.context[field]] if is_bad(self.context.get(field)) else []
        who = ["pod"] if values else []
        bad = [each for each in self.containers if is_bad((each.get("securityContext") or {}).get(field))]
        if bad:
            who.append(containers(str(each.get("name", "")) for each in bad))
        return who, [*values, *((each["securityContext"] or {})[field] for each in bad)]


Check = Callable[[PodLook], Finding | None]


class _Entry(NamedTuple):
    level: str
    name: str
    since: int
    instead_of: str
    check: Check


_entries: list[_Entry] = []


def check(level: str, name: str, *, since: int = 0, instead_of: str = "") -> Callable[[Check], Check]:
    """Register a check; `instead_of` names one of the baseline that it makes needless."""

    def registered(function: Check) -> Check:
        _entries.append(_Entry(level, name, since, instead_of, function))
        return function

    return registered


def findings(demand: Demand, pod: PodLook) -> list[Finding]:
    """Everything that a level of a version does not allow: the baseline first, each level by name."""
    minor = NEWEST if demand.minor is None else demand.minor
    chosen: dict[tuple[str, str], _Entry] = {}
    for entry in sorted((each for each in _entries if each.since <= minor), key=lambda each: each.since):
        chosen[entry.level, entry.name] = entry
    wanted = [each for each in chosen.values() if _is_asked(each.level, demand.level)]
    replaced = {each.instead_of for each in wanted}
    found = (each.check(pod) for each in sorted(wanted) if each.name not in replaced)
    return [finding for finding in found if finding is not None]


def _is_asked(level: str, by: str) -> bool:
    return by == "restricted" or (by == "baseline" and level == "baseline")


def plural(one: str, many: str, count: int) -> str:
    """The word for so many."""
    return one if count == 1 else many


def quoted(texts: Iterable[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(f'"{text}"' for text in texts)


def containers(names: Iterable[str]) -> str:
    """`container "a"`, or `containers "a", "b"`."""
    listed = list(names)
    return f"{plural('container', 'containers', len(listed))} {quoted(listed)}"
