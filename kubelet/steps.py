"""The steps a pod's plan is made of: values that say what to do. `act` does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubelet.runtime.base import ContainerRecord, Limits
from wherry.api.core.pod import Container


@dataclass(frozen=True, slots=True)
class MountVolumes:
    """Give the pod its directory, its files and its volumes."""


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """Create and start the sandbox that owns the pod's network."""

    attempt: int


@dataclass(frozen=True, slots=True)
class PullImage:
    """Fetch the image for this attempt of the container, in the background."""

    container: Container
    attempt: int


@dataclass(frozen=True, slots=True)
class Start:
    """Create and start a container; `delay_seconds` is what must pass after its end before the next attempt."""

    container: Container
    attempt: int
    sandbox_id: str
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True)
class BeginStop:
    """Run the container's pre-stop hook, if it has one; its signal comes after that. Again with less grace: hurry."""

    record: ContainerRecord
    grace_seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Resize:
    """Give a running container other limits."""

    record: ContainerRecord
    limits: Limits


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a container that is being stopped."""

    record: ContainerRecord
    signal: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a container or sandbox from the engine."""

    id: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The container cannot be started, and why."""

    container: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for people, once per `key`. `container` is empty for the pod as a whole."""

    key: str
    reason: str
    message: str
    container: str = ""
    type: str = "Warning"


@dataclass(frozen=True, slots=True)
class Fail:
    """Give the pod up."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before that instant."""

    until: datetime


@dataclass(frozen=True, slots=True)
class ReleaseVolumes:
    """Take back what MountVolumes gave."""


@dataclass(frozen=True, slots=True)
class ConfirmEnd:
    """The final status is written; then, if the pod was deleted, its object goes."""


Step = (
    MountVolumes | CreateSandbox | PullImage | Start | BeginStop | Resize | Signal | Remove | Hold | Tell | Fail | Wait
    | ReleaseVolumes | ConfirmEnd
)  # fmt: skip
