"""Runtime: what the kubelet asks of a container engine, and the values both sides speak of.

A pod is one sandbox, which owns network and IPC, and containers that join it. A runtime sees, and touches, only what
carries the labels of its own cluster and node; whatever else the engine runs does not exist for it. Nothing here
restarts by itself.

Kubernetes: the container runtime interface (CRI). Differs: no image file system or checkpoint calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol


class RuntimeFailure(Exception):
    """The engine refused; the message is its own."""


class RuntimeUnavailable(RuntimeFailure):
    """The engine is away or did not answer in time; what was asked may still happen."""


class Missing(RuntimeFailure):
    """There is no such container or image."""


class NotRunning(RuntimeFailure):
    """The container is there but does not run."""


class PodKey(NamedTuple):
    """Which pod something belongs to; the uid tells two pods of one name apart."""

    namespace: str
    name: str
    uid: str


class State(Enum):
    """Where a container is in its life; it only moves down this list."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of the machine that appears in a container."""

    source: str
    target: str
    is_read_only: bool = False
    propagation: str = "rprivate"


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A port of the machine that leads to the pod."""

    host_port: int
    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a sandbox is made of. `network` is a network's name, or `host`."""

    pod: PodKey
    attempt: int
    image: str
    command: tuple[str, ...]
    hostname: str = ""
    network: str = ""
    uses_host_ipc: bool = False
    uses_host_pid: bool = False
    ports: tuple[PortMapping, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """A container's share of the machine; 0 means no limit."""

    cpu_shares: int = 2
    cpu_nanos: int = 0
    memory_bytes: int = 0
    oom_score_adjust: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """Who the container's processes are and what they may do.

    `seccomp` is empty for the engine's profile, `unconfined`, or a profile as JSON.
    """

    user: str = ""
    groups: tuple[str, ...] = ()
    added_capabilities: tuple[str, ...] = ()
    dropped_capabilities: tuple[str, ...] = ()
    is_privileged: bool = False
    is_root_read_only: bool = False
    may_gain_privileges: bool = True
    seccomp: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is made of. Empty `command` or `args` mean the image's own.

    `pid_namespace` is empty (its own), `sandbox`, `host`, or the id of a container that it joins.
    `restart_delay_seconds` is remembered with the container, and so survives the kubelet: how long to wait after its
    end before the next attempt.
    """

    pod: PodKey
    name: str
    attempt: int
    sandbox_id: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    security: Security = Security()
    pid_namespace: str = ""
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    stop_signal: str = ""
    gpu_ids: tuple[str, ...] = ()
    # Cards that it sees too, and that stay whose they are.
    watched_gpu_ids: tuple[str, ...] = ()
    spec_hash: str = ""
    restart_delay_seconds: int = 0
    message_file: str = ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as the engine shows it."""

    id: str
    pod: PodKey
    attempt: int
    state: State
    created_at: datetime
    ip: str = ""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as the engine shows it. `error` is set when it could never be started."""

    id: str
    pod: PodKey
    name: str
    attempt: int
    state: State
    created_at: datetime
    sandbox_id: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    is_oom_killed: bool = False
    error: str = ""
    image: str = ""
    image_id: str = ""
    spec_hash: str = ""
    restart_delay_seconds: int = 0
    message_file: str = ""
    stop_signal: str = ""
    gpu_ids: tuple[str, ...] = ()
    tty: bool = False
    limits: Limits | None = None

    @property
    def is_running(self) -> bool:
        """Whether its first process lives."""
        return self.state is State.RUNNING


class Inventory(NamedTuple):
    """Everything of this node that the engine has, of one pod or of all."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()

    @property
    def all(self) -> tuple[ContainerRecord | Sandbox, ...]:
        """Containers first: they cannot outlive their sandbox."""
        return (*self.containers, *self.sandboxes)


class Image(NamedTuple):
    """An image that is on the machine. `user` is who its processes are by default."""

    id: str
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    user: str = ""


class Engine(NamedTuple):
    """The engine itself: name and version, such as `docker` and `20.10.24`, and where it keeps its data."""

    name: str
    version: str
    root: str = ""


class ExecResult(NamedTuple):
    """How a command inside a container ended, and what it printed first."""

    exit_code: int
    output: bytes


class Usage(NamedTuple):
    """What a container has used: cpu time since its start, and memory now, less what the kernel can take back at once.

    Kubernetes: usageCoreNanoSeconds and workingSetBytes. The rest is for those who look closely; 0 where the engine or
    the kernel does not tell.
    """

    cpu_nanos: int
    memory_bytes: int
    user_nanos: int = 0
    system_nanos: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_nanos: int = 0
    charged_bytes: int = 0
    rss_bytes: int = 0
    cache_bytes: int = 0


class Change(NamedTuple):
    """Something happened to a container of this pod: it started, ended or went away. No uid: look at all pods."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which lines of a container's output. `tail` None means all; `streams` is stdout, stderr or both."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    streams: tuple[str, ...] = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A command to run inside a container, and which of its streams the caller wants."""

    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


STDOUT, STDERR = 1, 2


class Session(Protocol):
    """The open streams of a command (exec) or of a container's first process (attach)."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output and its stream, STDOUT or STDERR; None at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """More input."""
        ...

    async def end_input(self) -> None:
        """No more input; output goes on."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal has another size now."""
        ...

    async def exit_code(self) -> int:
        """How the command ended; ask after `read` gave None."""
        ...

    async def close(self) -> None:
        """Let go of the streams."""
        ...


class Runtime(Protocol):
    """A container engine. Every call raises RuntimeUnavailable when the engine is away or too slow."""

    async def engine(self) -> Engine:
        """Name and version; also the question whether the engine is there at all."""
        ...

    async def inventory(self, pod_uid: str = "") -> Inventory:
        """What there is of one pod, or of all; newest attempts first."""
        ...

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        """Create and start a sandbox; its id."""
        ...

    async def create_container(self, spec: ContainerSpec) -> str:
        """Create a container; its id. It does not run yet. Missing when the image is not on the machine."""
        ...

    async def start(self, container_id: str) -> None:
        """Start what was created; a container that cannot start counts as exited and keeps its `error`."""
        ...

    async def resize(self, container_id: str, limits: Limits) -> None:
        """Give a running container other bounds of cpu and memory; RuntimeFailure if it uses more already."""
        ...

    async def signal(self, container_id: str, signal: str) -> None:
        """Send a signal to the first process; nothing happens when it does not run."""
        ...

    async def remove(self, container_id: str) -> None:
        """Remove a container or sandbox, running or not; nothing happens when it is gone."""
        ...

    async def image(self, name: str) -> Image | None:
        """An image on the machine, or None."""
        ...

    async def images(self) -> tuple[Image, ...]:
        """Every image on the machine."""
        ...

    async def pull(self, name: str, credentials: Mapping[str, str] | None) -> Image:
        """Fetch an image from its registry."""
        ...

    async def unpack(self, name: str, folder: Path) -> None:
        """Make the folder, with the files of an image that is there; RuntimeFailure if that fails."""
        ...

    async def usage(self, container_ids: Sequence[str]) -> dict[str, Usage]:
        """What these containers have used so far; those that do not run are left out."""
        ...

    async def run(self, container_id: str, command: tuple[str, ...], timeout_seconds: float) -> ExecResult:
        """Run a command inside a container to its end; TimeoutError, and an attempt to kill it, if it takes longer."""
        ...

    async def exec(self, container_id: str, request: ExecRequest) -> Session:
        """Run a command inside a container, with streams. NotRunning when there is nothing to run it in."""
        ...

    async def attach(self, container_id: str, request: ExecRequest) -> Session:
        """Join the streams of the container's first process."""
        ...

    def logs(self, container_id: str, request: LogRequest) -> AsyncIterator[bytes]:
        """The output so far and, with `follow`, until the container ends."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on, until the connection breaks (RuntimeUnavailable).

        The first, without a uid, says that the connection stands: what happened before may have been missed.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
