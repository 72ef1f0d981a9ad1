"""A runtime in memory, for tests and the simulator: same promises as Docker's, no processes.

A container runs until it is told otherwise: `script` decides what a start leads to, `finish` ends one as its own
process would, `crash_all` is a machine's power switch. Times come from the clock given.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from kubelet.runtime.base import (
    STDOUT,
    Change,
    ContainerRecord,
    ContainerSpec,
    Engine,
    ExecRequest,
    ExecResult,
    Image,
    Inventory,
    Limits,
    LogRequest,
    Missing,
    NotRunning,
    RuntimeFailure,
    RuntimeUnavailable,
    Sandbox,
    SandboxSpec,
    Session,
    State,
    Usage,
)

START_ERROR_EXIT_CODE = 128


@dataclass(frozen=True, slots=True)
class Start:
    """What starting a container leads to: it runs, it cannot be started (`error`), or it ends at once (`exit_code`)."""

    error: str = ""
    exit_code: int | None = None
    ignores_signals: bool = False


@dataclass
class _Process:
    record: ContainerRecord
    start: Start = Start()
    output: list[tuple[datetime, str, bytes]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeRuntime:
    """Containers without processes. Implements `Runtime`."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        images: tuple[str, ...] = (),
        script: Callable[[ContainerSpec], Start] = lambda spec: Start(),
        registry: tuple[str, ...] = (),
    ) -> None:
        self._now = now
        self._script = script
        self._registry = set(registry)
        self._images = {name: Image(f"sha256:{number:064x}", (name,)) for number, name in enumerate(images, 1)}
        self._sandboxes: dict[str, Sandbox] = {}
        self._processes: dict[str, _Process] = {}
        self._numbers = itertools.count(1)
        self._listeners: list[asyncio.Queue[Change]] = []
        self.is_away = False
        self.commands: Callable[[str, tuple[str, ...]], ExecResult] = lambda container_id, command: ExecResult(0, b"")
        # What each running container uses: thousandths of a cpu all the time, and bytes.
        self.load: Callable[[ContainerRecord], tuple[int, int]] = lambda record: (100, 64 * 1024**2)
        self._addresses = itertools.count(10 * 65536)

    # -- what tests and the simulator do to it -----------------------------------------------------------------------

    def finish(self, container_id: str, exit_code: int = 0, *, is_oom_killed: bool = False) -> None:
        """The first process ends."""
        process = self._processes[container_id]
        if process.record.is_running:
            ended = replace(process.record, state=State.EXITED, exit_code=exit_code, finished_at=self._now())
            process.record = replace(ended, is_oom_killed=is_oom_killed)
            process.ended.set()
            self._tell(ended.pod.uid)

    def crash_all(self) -> None:
        """Everything that runs is killed, as when the engine restarts."""
        for container_id in list(self._processes):
            self.finish(container_id, 137)
        for sandbox in list(self._sandboxes.values()):
            self._sandboxes[sandbox.id] = replace(sandbox, state=State.EXITED)
            self._tell(sandbox.pod.uid)

    def print(self, container_id: str, line: str, stream: str = "stdout") -> None:
        """The container writes a line."""
        self._processes[container_id].output.append((self._now(), stream, line.encode() + b"\n"))

    def _tell(self, pod_uid: str) -> None:
        for listener in self._listeners:
            listener.put_nowait(Change(pod_uid))

    def _check(self) -> None:
        if self.is_away:
            raise RuntimeUnavailable("the engine is away")

    def _new_id(self) -> str:
        return f"{next(self._numbers):064x}"

    # -- Runtime -----------------------------------------------------------------------------------------------------

    async def engine(self) -> Engine:
        self._check()
        return Engine("fake", "1.0")

    async def inventory(self, pod_uid: str = "") -> Inventory:
        self._check()
        sandboxes = [sandbox for sandbox in self._sandboxes.values() if pod_uid in ("", sandbox.pod.uid)]
        records = [process.record for process in self._processes.values() if pod_uid in ("", process.record.pod.uid)]
        sandboxes.sort(key=lambda sandbox: sandbox.attempt, reverse=True)
        records.sort(key=lambda record: record.attempt, reverse=True)
        return Inventory(tuple(sandboxes), tuple(records))

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        self._check()
        sandbox_id, number = self._new_id(), next(self._addresses)
        ip = "" if spec.network == "host" else f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
        self._sandboxes[sandbox_id] = Sandbox(sandbox_id, spec.pod, spec.attempt, State.RUNNING, self._now(), ip)
        self._tell(spec.pod.uid)
        return sandbox_id

    async def create_container(self, spec: ContainerSpec) -> str:
        self._check()
        image = self._images.get(spec.image)
        if image is None:
            raise Missing(f"No such image: {spec.image}")
        container_id = self._new_id()
        self._processes[container_id] = _Process(_record(container_id, spec, image, self._now()), self._script(spec))
        return container_id

    async def start(self, container_id: str) -> None:
        self._check()
        process = self._process(container_id)
        now = self._now()
        if process.start.error:
            failed = replace(process.record, state=State.EXITED, exit_code=START_ERROR_EXIT_CODE, finished_at=now)
            process.record = replace(failed, error=process.start.error)
            raise RuntimeFailure(process.start.error)
        process.record = replace(process.record, state=State.RUNNING, started_at=now)
        self._tell(process.record.pod.uid)
        if process.start.exit_code is not None:
            self.finish(container_id, process.start.exit_code)

    async def resize(self, container_id: str, limits: Limits) -> None:
        self._check()
        process = self._require_running(container_id)
        process.record = replace(process.record, limits=limits)

    async def signal(self, container_id: str, signal: str) -> None:
        self._check()
        if container_id in self._sandboxes:
            sandbox = self._sandboxes[container_id]
            self._sandboxes[container_id] = replace(sandbox, state=State.EXITED)
            self._tell(sandbox.pod.uid)
        elif container_id in self._processes:
            process = self._processes[container_id]
            if signal == "SIGKILL":
                self.finish(container_id, 137)
            elif not process.start.ignores_signals:
                self.finish(container_id, 143)

    async def remove(self, container_id: str) -> None:
        self._check()
        if container_id in self._processes:
            self.finish(container_id, 137)
            self._tell(self._processes.pop(container_id).record.pod.uid)
        elif container_id in self._sandboxes:
            self._tell(self._sandboxes.pop(container_id).pod.uid)

    async def image(self, name: str) -> Image | None:
        self._check()
        return self._images.get(name)

    async def images(self) -> tuple[Image, ...]:
        self._check()
        return tuple(self._images.values())

    async def pull(self, name: str, credentials: Mapping[str, str] | None) -> Image:
        self._check()
        if name not in self._registry:
            raise RuntimeFailure(f"pull access denied for {name}")
        return self._images.setdefault(name, Image(f"sha256:{next(self._numbers):064x}", (name,)))

    async def unpack(self, name: str, folder: Path) -> None:
        self._check()
        if name not in self._images:
            raise Missing(f"no such image: {name}")
        await asyncio.to_thread(folder.mkdir, parents=True)

    async def usage(self, container_ids: Sequence[str]) -> dict[str, Usage]:
        self._check()
        records = (self._processes[each].record for each in container_ids if each in self._processes)
        return {record.id: self._used(record) for record in records if record.is_running}

    def _used(self, record: ContainerRecord) -> Usage:
        cpu_millis, memory_bytes = self.load(record)
        seconds = (self._now() - (record.started_at or self._now())).total_seconds()
        return Usage(int(seconds * cpu_millis * 10**6), memory_bytes)

    async def run(self, container_id: str, command: tuple[str, ...], timeout_seconds: float) -> ExecResult:
        self._require_running(container_id)
        return self.commands(container_id, command)

    async def exec(self, container_id: str, request: ExecRequest) -> Session:
        self._require_running(container_id)
        return FakeSession(self.commands(container_id, request.command))

    async def attach(self, container_id: str, request: ExecRequest) -> Session:
        process = self._require_running(container_id)
        return FakeSession(ExecResult(0, b"".join(line for _, _, line in process.output)))

    async def logs(self, container_id: str, request: LogRequest) -> AsyncIterator[bytes]:
        self._check()
        process = self._process(container_id)
        lines = [line for line in process.output if line[1] in request.streams]
        if request.since is not None:
            since = request.since
            lines = [line for line in lines if line[0] >= since]
        if request.tail is not None:
            lines = lines[len(lines) - request.tail :] if request.tail < len(lines) else lines
        for at, _, line in lines:
            stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() if request.timestamps else b""
            yield stamp + line
        if request.follow and process.record.is_running:
            await process.ended.wait()

    async def changes(self) -> AsyncIterator[Change]:
        self._check()
        listener: asyncio.Queue[Change] = asyncio.Queue()
        self._listeners.append(listener)
        try:
            yield Change("")
            while True:
                yield await listener.get()
                self._check()
        finally:
            self._listeners.remove(listener)

    async def close(self) -> None:
        self._listeners.clear()

    def _process(self, container_id: str) -> _Process:
        if container_id not in self._processes:
            raise Missing(f"No such container: {container_id}")
        return self._processes[container_id]

    def _require_running(self, container_id: str) -> _Process:
        self._check()
        process = self._process(container_id)
        if not process.record.is_running:
            raise NotRunning(f"Container {container_id} is not running")
        return process


class FakeSession:
    """The streams of a command that has already ended."""

    def __init__(self, result: ExecResult) -> None:
        self._result = result
        self._output: bytes | None = result.output

    async def read(self) -> tuple[int, bytes] | None:
        output, self._output = self._output, None
        return (STDOUT, output) if output else None

    async def write(self, data: bytes) -> None:
        """Nobody reads it."""

    async def end_input(self) -> None:
        """There is none."""

    async def resize(self, width: int, height: int) -> None:
        """There is no terminal."""

    async def exit_code(self) -> int:
        return self._result.exit_code

    async def close(self) -> None:
        """There is no connection."""


def _record(container_id: str, spec: ContainerSpec, image: Image, now: datetime) -> ContainerRecord:
    return ContainerRecord(
        id=container_id,
        pod=spec.pod,
        name=spec.name,
        attempt=spec.attempt,
        state=State.CREATED,
        created_at=now,
        sandbox_id=spec.sandbox_id,
        image=spec.image,
        image_id=image.id,
        spec_hash=spec.spec_hash,
        restart_delay_seconds=spec.restart_delay_seconds,
        message_file=spec.message_file,
        stop_signal=spec.stop_signal,
        gpu_ids=spec.gpu_ids,
        tty=spec.tty,
        limits=spec.limits,
    )
