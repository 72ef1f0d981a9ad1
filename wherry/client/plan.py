"""The actions a plan yields. A plan is pure: it reads an object and a `World`, and says what should happen next.

    def plan(rs: ReplicaSet, world: World) -> Plan:
        yield Create(pod_from(rs.spec.template, owner=rs))
        yield SetStatus(rs.with_status(replicas=1))

The runner (`wherry.client.runner`) carries the actions out in order: runs of `Create` or `Delete` in growing
batches, `SetStatus` only when something changed. Every write carries the version and uid the plan saw, so a plan
made on an old world fails as a quiet conflict instead of doing harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wherry.machinery.resource import Resource

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """Create the object `manifest`, JSON with kind, apiVersion and metadata. That it exists already is no error."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Update:
    """Change an object by a JSON merge patch (None removes a key), if it is still the version seen.

    `subresource` is empty, or one such as `status`, `finalize` or `scale`.
    """

    obj: Resource
    patch: dict[str, Any]
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Make the status of an object what this view of it says: `SetStatus(rs.with_status(replicas=2))`."""

    obj: Resource


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object if it is still the same one (by uid). `grace_seconds` None means the object's own choice.

    `only_as_seen`: if it is still the version seen, because another one might be to stay.
    """

    obj: Resource
    propagation: str = "Background"
    grace_seconds: int | None = None
    only_as_seen: bool = False


@dataclass(frozen=True, slots=True)
class Evict:
    """Delete a pod unless a disruption budget forbids it now."""

    pod: Resource


@dataclass(frozen=True, slots=True)
class Event:
    """Tell people what happened to an object. `type` is Normal or Warning."""

    obj: Resource
    reason: str
    message: str
    type: str = "Normal"
    action: str = field(default="")
    # What machines may want to know beside the message.
    annotations: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class CheckAgain:
    """Plan this object again after so many seconds, even if nothing changes."""

    after_seconds: float


Action = Create | Update | SetStatus | Delete | Evict | Event | CheckAgain
Plan = Iterator[Action]
