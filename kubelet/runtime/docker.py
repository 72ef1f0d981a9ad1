"""The runtime on a Docker Engine (API 1.41 and newer, cgroup v1 and v2).

Plain calls go through Docker's SDK in worker threads, because their time is the daemon's; streams go over connections
of their own (`docker_streams`). Each call has an end: a daemon that hangs makes RuntimeUnavailable, never a stuck pod.
A call that timed out may still happen later; names that repeat for the same attempt keep it from doubling anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal as signals
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
import docker.errors  # type: ignore[import-untyped]
import requests

from kubelet.runtime import docker_format as form
from kubelet.runtime import docker_streams as streams
from kubelet.runtime.base import (
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
    RuntimeFailure,
    RuntimeUnavailable,
    Sandbox,
    SandboxSpec,
    Session,
    Usage,
)
from kubelet.runtime.cgroups import Cgroups, may_protect_from_oom
from kubelet.runtime.docker_images import unpack
from kubelet.runtime.threads import UnawaitedThreads

DEFAULT_ENGINE = "unix:///var/run/docker.sock"
CALL_SECONDS = 30
_WORKERS = 16
_PULLS = 8
_OUTPUT_BYTES = 10 * 1024
_OLDEST_API = "1.41"


class Docker:
    """A Docker Engine, seen through the labels of one cluster and node. Implements `Runtime`."""

    def __init__(
        self,
        cluster: str,
        node: str,
        *,
        engine: str = "unix:///var/run/docker.sock",
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._owner = form.owner_labels(cluster, node)
        self._node = node
        self._url = engine
        self._call_seconds = call_seconds
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="docker")
        # A pull takes minutes: many at a time must not keep everything else waiting.
        self._pulling = UnawaitedThreads(_PULLS, "docker-pull")
        # Asking whether the engine lives must not wait behind sixteen calls that hang.
        self._pulse = UnawaitedThreads(1, "docker-pulse")
        self._lowest_oom_score = -1000 if may_protect_from_oom() else 0
        self._client: docker.APIClient | None = None
        # What has ended no longer changes. What runs is inspected each time: Docker's list still says "running" for a
        # moment after it has told the world of the end.
        self._ended: dict[str, Sandbox | ContainerRecord] = {}
        self._cgroups = Cgroups()

    # -- plain calls -------------------------------------------------------------------------------------------------

    async def engine(self) -> Engine:
        """Name, version and data directory of the daemon."""

        def ask(client: docker.APIClient) -> Engine:
            version, facts = client.version(), client.info()
            return Engine("docker", str(version["Version"]), str(facts.get("DockerRootDir") or ""))

        engine: Engine = await self._call(ask, threads=self._pulse)
        return engine

    async def inventory(self, pod_uid: str = "") -> Inventory:
        """What carries our labels; `docker ps` and an inspect of each that changed."""
        wanted = self._owner | ({form.POD_UID: pod_uid} if pod_uid else {})
        labels = [f"{key}={value}" for key, value in wanted.items()]
        found = await self._call(lambda client: self._take_stock(client, labels))
        if not pod_uid:
            ids = {thing.id for thing in found}
            self._ended = {id: thing for id, thing in self._ended.items() if id in ids}
        found.sort(key=lambda thing: thing.attempt, reverse=True)
        sandboxes = tuple(thing for thing in found if isinstance(thing, Sandbox))
        return Inventory(sandboxes, tuple(thing for thing in found if isinstance(thing, ContainerRecord)))

    def _take_stock(self, client: docker.APIClient, labels: list[str]) -> list[Sandbox | ContainerRecord]:
        found = []
        for listed in client.containers(all=True, filters={"label": labels}):
            thing = self._ended.get(listed["Id"])
            if thing is None:
                try:
                    inspected = client.inspect_container(listed["Id"])
                except docker.errors.NotFound:
                    continue
                is_sandbox = listed["Labels"].get(form.ROLE) == "sandbox"
                thing = form.sandbox_of(inspected) if is_sandbox else form.record_of(inspected)
                if inspected["State"]["Status"] == "exited":
                    self._ended[thing.id] = thing
            found.append(thing)
        return found

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        """Create and start; what could not be started is removed again."""
        name = form.container_name(self._node, "POD", spec.pod, spec.attempt)
        sandbox_id = await self._create(name, form.sandbox_body(spec, self._owner))
        try:
            await self._call(lambda client: client.start(sandbox_id))
        except RuntimeUnavailable:
            raise
        except RuntimeFailure:
            await self.remove(sandbox_id)
            raise
        return sandbox_id

    async def create_container(self, spec: ContainerSpec) -> str:
        """Create without starting."""
        name = form.container_name(self._node, spec.name, spec.pod, spec.attempt)
        return await self._create(name, form.container_body(spec, self._owner))

    async def _create(self, name: str, body: form.Json) -> str:
        def create(client: docker.APIClient) -> str:
            try:
                return str(client.create_container_from_config(body, name)["Id"])
            except docker.errors.APIError as error:
                if error.status_code != 409 or not self._is_leftover(client, name, body):
                    raise
            client.remove_container(name, force=True, v=True)
            return str(client.create_container_from_config(body, name)["Id"])

        body["HostConfig"]["OomScoreAdj"] = max(body["HostConfig"]["OomScoreAdj"], self._lowest_oom_score)
        return str(await self._call(create))

    def _is_leftover(self, client: docker.APIClient, name: str, body: form.Json) -> bool:
        """Whether the name is taken by an earlier try of the very same create whose answer never came."""
        try:
            labels = client.inspect_container(name)["Config"]["Labels"] or {}
        except docker.errors.NotFound:
            return False
        ours = (form.CLUSTER, form.NODE, form.POD_UID, form.ATTEMPT)
        return all(labels.get(key) == body["Labels"][key] for key in ours)

    async def start(self, container_id: str) -> None:
        """A refusal is kept by Docker in the container's state, where `inventory` finds it."""
        await self._call(lambda client: client.start(container_id))
        self._cgroups.let_die_as_one(container_id)  # as quick as any call into the kernel

    async def resize(self, container_id: str, limits: Limits) -> None:
        """By the raw call: the SDK's own knows no NanoCpus."""
        path = await self._path(f"/containers/{container_id}/update")
        await self._call(lambda client: _posted(client, path, form.resize_body(limits)))

    async def signal(self, container_id: str, signal: str) -> None:
        """`signal` is a name such as SIGTERM."""

        def send(client: docker.APIClient) -> None:
            try:
                client.kill(container_id, signal)
            except docker.errors.APIError as error:
                # 409 not running (500 in older engines), 404 gone
                if error.status_code not in (404, 409) and "is not running" not in str(error):
                    raise

        await self._call(send)

    async def remove(self, container_id: str) -> None:
        """Remove with its anonymous volumes."""

        def remove(client: docker.APIClient) -> None:
            try:
                client.remove_container(container_id, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code != 404 and "already in progress" not in str(error):
                    raise

        await self._call(remove)

    async def image(self, name: str) -> Image | None:
        """An image by name, digest or id."""
        try:
            return form.image_of(await self._call(lambda client: client.inspect_image(name)))
        except Missing:
            return None

    async def images(self) -> tuple[Image, ...]:
        """Every image of the engine, ours or not."""
        return tuple(form.image_of(image) for image in await self._call(lambda client: client.images()))

    async def pull(self, name: str, credentials: Mapping[str, str] | None) -> Image:
        """Logins of the kubelet's user (`docker login`) serve when no credentials are given."""

        def pull(client: docker.APIClient) -> form.Json:
            for line in client.pull(
                name, stream=True, decode=True, auth_config=dict(credentials) if credentials else None
            ):
                if "error" in line:
                    raise RuntimeFailure(line["error"])
            answer: form.Json = client.inspect_image(name)
            return answer

        return form.image_of(await self._call(pull, threads=self._pulling))

    async def unpack(self, name: str, folder: Path) -> None:
        """As long as a pull takes, it may keep nothing else waiting."""
        await self._call(lambda client: unpack(client, name, folder, self._owner), threads=self._pulling)

    async def usage(self, container_ids: Sequence[str]) -> dict[str, Usage]:
        """From the kernel where the containers' groups are on this machine, else from the daemon."""
        read = await asyncio.to_thread(lambda: {each: self._cgroups.read(each) for each in container_ids})
        unread = [each for each, usage in read.items() if usage is None]
        read |= zip(unread, await asyncio.gather(*map(self._stats, unread)), strict=True)
        return {each: usage for each, usage in read.items() if usage is not None}

    async def _stats(self, container_id: str) -> Usage | None:
        try:
            stats = await self._call(lambda client: client.stats(container_id, stream=False, one_shot=True))
        except Missing:
            return None
        return form.usage_of(stats)

    async def create_network(self, name: str, subnet: str, labels: Mapping[str, str]) -> None:
        """Create a bridge network unless there is one of that name; `subnet` may be empty."""

        def create(client: docker.APIClient) -> None:
            if any(network["Name"] == name for network in client.networks(names=[name])):
                return
            pools = [docker.types.IPAMPool(subnet=subnet)] if subnet else None
            ipam = docker.types.IPAMConfig(pool_configs=pools) if pools else None
            client.create_network(name, driver="bridge", ipam=ipam, labels=dict(labels), check_duplicate=True)

        await self._call(create)

    async def _call(self, ask: Callable[[docker.APIClient], Any], threads: Executor | None = None) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads or self._threads, self._ask, ask)

    def _ask(self, ask: Callable[[docker.APIClient], Any]) -> Any:
        try:
            if self._client is None:
                self._client = docker.APIClient(
                    self._url, version="auto", timeout=self._call_seconds, max_pool_size=_WORKERS + _PULLS
                )
            return ask(self._client)
        except docker.errors.APIError as error:
            raise streams.failure_for(error.status_code or 500, str(error.explanation or error)) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            if self._client is not None:
                self._client.close()  # its pooled connections lead to a daemon that is gone
            raise RuntimeUnavailable(f"the Docker daemon at {self._url} does not answer: {error}") from error

    # -- streams -----------------------------------------------------------------------------------------------------

    async def run(self, container_id: str, command: tuple[str, ...], timeout_seconds: float) -> ExecResult:
        """Output beyond 10 KiB is dropped. A command that takes too long is killed if it is on this machine."""
        exec_id = await self._create_exec(container_id, ExecRequest(command))
        session = await self._start_exec(exec_id, tty=False)
        output = bytearray()
        try:
            async with asyncio.timeout(timeout_seconds):
                while frame := await session.read():
                    output += frame[1][: _OUTPUT_BYTES - len(output)]
                return ExecResult(await session.exit_code(), bytes(output))
        except TimeoutError:
            await self._kill_exec(exec_id)
            raise
        finally:
            await session.close()

    async def exec(self, container_id: str, request: ExecRequest) -> Session:
        """A session over a hijacked connection."""
        return await self._start_exec(await self._create_exec(container_id, request), tty=request.tty)

    async def _create_exec(self, container_id: str, request: ExecRequest) -> str:
        stderr = request.stderr and not request.tty
        wanted = {"stdin": request.stdin, "stdout": request.stdout, "stderr": stderr, "tty": request.tty}
        made = await self._call(lambda client: client.exec_create(container_id, list(request.command), **wanted))
        return str(made["Id"])

    async def _start_exec(self, exec_id: str, *, tty: bool) -> streams.DockerSession:
        path = await self._path(f"/exec/{exec_id}/start")
        body = {"Detach": False, "Tty": tty}
        connection = await streams.open_stream(self._url, "POST", path, body=body, upgrade=True)

        def resize(width: int, height: int) -> Awaitable[None]:
            return self._call(lambda client: client.exec_resize(exec_id, height=height, width=width))

        async def exit_code() -> int:
            return int((await self._call(lambda client: client.exec_inspect(exec_id)))["ExitCode"] or 0)

        return streams.DockerSession(connection, tty=tty, resize=resize, exit_code=exit_code)

    async def _kill_exec(self, exec_id: str) -> None:
        """RuntimeUnavailable if it was the engine that took too long, not the command."""
        pid = int((await self._call(lambda client: client.exec_inspect(exec_id))).get("Pid") or 0)
        if pid > 1:
            with contextlib.suppress(OSError):
                os.kill(pid, signals.SIGKILL)

    async def attach(self, container_id: str, request: ExecRequest) -> Session:
        """The terminal, or not, is the container's own choice."""
        wanted = {"stdin": request.stdin, "stdout": request.stdout, "stderr": request.stderr}
        path = await self._path(streams.query(f"/containers/{container_id}/attach", stream=True, **wanted))
        connection = await streams.open_stream(self._url, "POST", path, upgrade=True)
        try:
            container = await self._inspect(container_id)
            if not container["State"]["Running"]:  # nothing more comes, and clients that hear so read its logs
                raise streams.failure_for(409, f"container {container_id} is not running")
        except RuntimeFailure:
            connection.close()
            raise

        def resize(width: int, height: int) -> Awaitable[None]:
            return self._call(lambda client: client.resize(container_id, height=height, width=width))

        async def exit_code() -> int:
            return int((await self._inspect(container_id))["State"]["ExitCode"] or 0)

        return streams.DockerSession(connection, tty=container["Config"]["Tty"], resize=resize, exit_code=exit_code)

    async def _inspect(self, container_id: str) -> form.Json:
        return dict(await self._call(lambda client: client.inspect_container(container_id)))

    async def logs(self, container_id: str, request: LogRequest) -> AsyncIterator[bytes]:
        """From Docker's json-file; timestamps are RFC 3339 with nanoseconds."""
        tty = bool((await self._inspect(container_id))["Config"]["Tty"])
        wanted = {name: name in request.streams for name in ("stdout", "stderr")}
        tail = "all" if request.tail is None else request.tail
        since = None if request.since is None else f"{request.since.timestamp():.6f}"
        more = {"follow": request.follow, "timestamps": request.timestamps, "tail": tail, "since": since}
        path = await self._path(streams.query(f"/containers/{container_id}/logs", **wanted, **more))
        connection = await streams.open_stream(self._url, "GET", path)
        try:
            if tty:
                async for piece in connection.body():
                    yield piece
            else:
                async for _, piece in streams.frames(connection):
                    yield piece
        except (asyncio.IncompleteReadError, OSError):
            return  # the daemon went away; what was read is what there is
        finally:
            connection.close()

    async def changes(self) -> AsyncIterator[Change]:
        """Docker's events of our containers."""
        labels = [f"{key}={value}" for key, value in self._owner.items()]
        wanted = {"label": labels, "type": ["container"], "event": ["start", "die", "destroy", "oom"]}
        path = await self._path(streams.query("/events", filters=json.dumps(wanted)))
        connection = await streams.open_stream(self._url, "GET", path)
        pending = b""
        try:
            yield Change("")
            async for piece in connection.body():
                *lines, pending = (pending + piece).split(b"\n")
                for line in filter(None, lines):
                    yield Change(json.loads(line)["Actor"]["Attributes"].get(form.POD_UID, ""))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise RuntimeUnavailable(f"the event stream of {self._url} broke: {error}") from error
        finally:
            connection.close()
        raise RuntimeUnavailable(f"the event stream of {self._url} ended")

    async def _path(self, path: str) -> str:
        version = self._client.api_version if self._client else await self._call(lambda client: client.api_version)
        return f"/v{version or _OLDEST_API}{path}"

    async def close(self) -> None:
        """Calls still under way in threads end by their own time limit; pulls are the engine's to go on with."""
        pools: tuple[Executor, ...] = (self._threads, self._pulling, self._pulse)
        for threads in pools:
            threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()


def _posted(client: docker.APIClient, path: str, body: form.Json) -> None:
    answer = client.post(f"{client.base_url}{path}", json=body)
    if not answer.ok:
        raise streams.failure_for(answer.status_code, answer.json().get("message", answer.text))
