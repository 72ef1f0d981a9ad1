"""Levels and versions of the standards, as labels of a namespace say them. Kubernetes: pod-security-admission/api.

>>> of({"pod-security.kubernetes.io/enforce": "baseline"}).enforce
Demand(level='baseline', minor=None)
>>> str(Demand("restricted", 30))
'restricted:v1.30'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from wherry.machinery.field_errors import FieldError, invalid

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
LATEST = "latest"
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,4})", re.ASCII)


class Demand(NamedTuple):
    """A level, in the words of one minor version of Kubernetes; None is the latest."""

    level: str = "privileged"
    minor: int | None = None

    def __str__(self) -> str:
        return f"{self.level}:{LATEST if self.minor is None else f'v1.{self.minor}'}"

    def is_stricter_than(self, other: Demand) -> bool:
        """Whether its level asks for more."""
        return LEVELS.index(self.level) > LEVELS.index(other.level)


class Policy(NamedTuple):
    """What is refused, what is written into the audit log, and what the user is warned of."""

    enforce: Demand = Demand()
    audit: Demand = Demand()
    warn: Demand = Demand()

    @property
    def is_open(self) -> bool:
        """Whether nothing is ever to be said."""
        return all(demand.level == "privileged" for demand in self)


OPEN = Policy()
"""Nothing is refused and nobody is warned."""


def of(labels: Mapping[str, str], default: Policy = OPEN) -> Policy:
    """The policy of a namespace. A level that does not exist counts as `restricted` where it is enforced, else as none.

    A version that does not exist counts as the latest.
    """
    if not any(key.startswith(PREFIX) for key in labels):
        return default
    return Policy(*(_demand(labels, mode, fallback) for mode, fallback in zip(MODES, default, strict=True)))


def _demand(labels: Mapping[str, str], mode: str, default: Demand) -> Demand:
    level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
    if level is None:
        level = default.level
    elif level not in LEVELS:
        level = "restricted" if mode == "enforce" else "privileged"
    return Demand(level, default.minor if version is None else minor_of(version))


def minor_of(version: str) -> int | None:
    """The number in `v1.30`; None for `latest` and whatever else."""
    found = _VERSION.fullmatch(version)
    return int(found[1]) if found else None


def mistakes(labels: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with the labels of a namespace."""
    found = []
    for mode in MODES:
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            found.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}"))
        if version is not None and version != LATEST and minor_of(version) is None:
            field = f"metadata.labels[{PREFIX}{mode}-version]"
            found.append(invalid(field, version, 'must be "latest" or "v1.x"'))
    return found
