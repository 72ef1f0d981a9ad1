"""What every container runtime promises the kubelet: held against the fake and against a real Docker daemon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from kubelet.runtime.base import (
    ContainerRecord,
    ContainerSpec,
    ExecRequest,
    LogRequest,
    Missing,
    NotRunning,
    PodKey,
    Runtime,
    RuntimeFailure,
    SandboxSpec,
    State,
)
from kubelet.runtime.docker import Docker
from kubelet.runtime.fake import FakeRuntime, Start
from tests.kubelet.docker_engine import TEST_IMAGE, require_docker

FOREVER = ("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 600 & wait; done")
STUBBORN = ("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")


def _as_processes_would(spec: ContainerSpec) -> Start:
    if spec.command == ("/no/such/command",):
        return Start(error="no such file or directory")
    if spec.command[:2] == ("sh", "-c") and spec.command[2].startswith("exit "):
        return Start(exit_code=int(spec.command[2].split()[1]))
    return Start(ignores_signals=spec.command == STUBBORN)


@pytest.fixture(params=["fake", "docker"])
async def runtime(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    if request.param == "fake":
        yield FakeRuntime(lambda: datetime.now(UTC), images=(TEST_IMAGE,), script=_as_processes_would)
        return
    require_docker()
    docker = Docker(f"contract-{uuid4().hex[:8]}", "n1")
    yield docker
    for group in await docker.inventory():
        for thing in group:
            await docker.remove(thing.id)
    await docker.close()


@pytest.fixture
def pod() -> PodKey:
    return PodKey("shop", "web", str(uuid4()))


async def a_sandbox(runtime: Runtime, pod: PodKey, attempt: int = 0) -> str:
    return await runtime.create_sandbox(
        SandboxSpec(pod, attempt, TEST_IMAGE, FOREVER, hostname="web", network="bridge")
    )


async def a_container(runtime: Runtime, pod: PodKey, *command: str, attempt: int = 0, sandbox_id: str = "") -> str:
    sandbox_id = sandbox_id or await a_sandbox(runtime, pod, attempt)
    spec = ContainerSpec(
        pod, "app", attempt, sandbox_id, TEST_IMAGE, command or FOREVER, spec_hash="h", restart_delay_seconds=20
    )
    return await runtime.create_container(spec)


async def is_up(runtime: Runtime, container_id: str) -> None:
    """Return when the shell has set its trap, which it says."""
    if isinstance(runtime, FakeRuntime):
        runtime.print(container_id, "up")
    for _ in range(1000):
        if await _all(runtime.logs(container_id, LogRequest())) == b"up\n":
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the container says nothing")


async def ended(runtime: Runtime, pod: PodKey) -> ContainerRecord:
    for _ in range(1000):
        record = (await runtime.inventory(pod.uid)).containers[0]
        if record.state is State.EXITED:
            return record
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{record.name} still runs")


async def test_a_sandbox_runs_with_an_address_of_its_own(runtime: Runtime, pod: PodKey) -> None:
    await a_sandbox(runtime, pod)

    (sandbox,) = (await runtime.inventory(pod.uid)).sandboxes

    assert (sandbox.pod, sandbox.attempt, sandbox.state) == (pod, 0, State.RUNNING)
    assert sandbox.ip.count(".") == 3


async def test_a_container_is_created_before_it_runs(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)
    created = (await runtime.inventory(pod.uid)).containers[0]

    await runtime.start(container_id)

    running = (await runtime.inventory(pod.uid)).containers[0]
    assert (created.state, running.state) == (State.CREATED, State.RUNNING)
    assert running.started_at is not None


async def test_a_record_tells_what_the_kubelet_must_remember(runtime: Runtime, pod: PodKey) -> None:
    sandbox_id = await a_sandbox(runtime, pod)
    container_id = await a_container(runtime, pod, sandbox_id=sandbox_id)

    record = (await runtime.inventory(pod.uid)).containers[0]

    assert (record.id, record.pod, record.name, record.attempt) == (container_id, pod, "app", 0)
    assert (record.sandbox_id, record.spec_hash, record.restart_delay_seconds) == (sandbox_id, "h", 20)


async def test_the_exit_code_and_times_of_an_ended_container_are_known(runtime: Runtime, pod: PodKey) -> None:
    await runtime.start(await a_container(runtime, pod, "sh", "-c", "exit 3"))

    record = await ended(runtime, pod)

    assert (record.exit_code, record.is_oom_killed, record.error) == (3, False, "")
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.started_at <= record.finished_at


async def test_a_command_that_is_not_there_leaves_an_ended_container(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod, "/no/such/command")

    with pytest.raises(RuntimeFailure, match="no such file or directory"):
        await runtime.start(container_id)

    record = (await runtime.inventory(pod.uid)).containers[0]
    assert (record.state, record.exit_code) == (State.EXITED, 128)
    assert "no such file or directory" in record.error


async def test_a_container_ends_on_its_stop_signal(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)
    await runtime.start(container_id)
    await is_up(runtime, container_id)

    await runtime.signal(container_id, "SIGTERM")

    assert (await ended(runtime, pod)).exit_code in (0, 143)


async def test_only_kill_ends_a_container_that_ignores_signals(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod, *STUBBORN)
    await runtime.start(container_id)
    await is_up(runtime, container_id)

    await runtime.signal(container_id, "SIGTERM")
    still_running = (await runtime.inventory(pod.uid)).containers[0].is_running
    await runtime.signal(container_id, "SIGKILL")

    assert still_running
    assert (await ended(runtime, pod)).exit_code == 137


async def test_signals_and_removals_of_what_is_gone_are_quiet(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)

    await runtime.signal(container_id, "SIGTERM")
    await runtime.remove(container_id)
    await runtime.remove(container_id)
    await runtime.signal(container_id, "SIGTERM")

    assert (await runtime.inventory(pod.uid)).containers == ()


async def test_the_inventory_shows_the_newest_attempt_first_and_each_pod_apart(runtime: Runtime, pod: PodKey) -> None:
    other = pod._replace(uid=str(uuid4()))
    await a_container(runtime, other)
    await a_container(runtime, pod, attempt=0)
    await a_container(runtime, pod, attempt=1)

    of_pod, of_all = await runtime.inventory(pod.uid), await runtime.inventory()

    assert [record.attempt for record in of_pod.containers] == [1, 0]
    assert [sandbox.attempt for sandbox in of_pod.sandboxes] == [1, 0]
    assert {record.pod for record in of_all.containers} == {pod, other}


async def test_a_container_needs_an_image_that_is_there(runtime: Runtime, pod: PodKey) -> None:
    spec = ContainerSpec(pod, "app", 0, await a_sandbox(runtime, pod), "wherrytest-kubelet/absent:1")

    with pytest.raises(Missing):
        await runtime.create_container(spec)

    assert await runtime.image("wherrytest-kubelet/absent:1") is None
    assert await runtime.image(TEST_IMAGE) in await runtime.images()


async def test_an_image_is_unpacked_into_a_folder(runtime: Runtime, tmp_path: Path) -> None:
    await runtime.unpack(TEST_IMAGE, tmp_path / "pods" / "files")

    assert [each.name for each in (tmp_path / "pods").iterdir()] == ["files"]
    with pytest.raises(RuntimeFailure):
        await runtime.unpack("wherrytest-kubelet/absent:1", tmp_path / "absent")


async def test_an_image_that_cannot_be_pulled_is_a_failure(runtime: Runtime) -> None:
    with pytest.raises(RuntimeFailure):
        await runtime.pull("127.0.0.1:1/absent:1", None)


async def test_commands_run_only_in_running_containers(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)
    with pytest.raises(NotRunning):
        await runtime.run(container_id, ("true",), 5)

    await runtime.start(container_id)

    assert (await runtime.run(container_id, ("true",), 5)).exit_code == 0
    session = await runtime.exec(container_id, ExecRequest(("true",)))
    assert await session.read() is None
    await session.close()


async def test_nobody_joins_a_container_that_has_ended(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod, "sh", "-c", "exit 0")
    await runtime.start(container_id)
    await ended(runtime, pod)

    with pytest.raises(NotRunning):
        await runtime.attach(container_id, ExecRequest())


async def test_a_change_is_told_when_a_container_ends(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)
    await runtime.start(container_id)
    await is_up(runtime, container_id)

    async with asyncio.timeout(20), aclosing(runtime.changes()) as changes:  # type: ignore[type-var]
        connected = await anext(changes)
        await runtime.signal(container_id, "SIGTERM")

        assert connected.pod_uid == ""
        assert (await anext(changes)).pod_uid == pod.uid


async def test_following_logs_ends_with_the_container(runtime: Runtime, pod: PodKey) -> None:
    container_id = await a_container(runtime, pod)
    await runtime.start(container_id)
    await is_up(runtime, container_id)

    follower = asyncio.ensure_future(_all(runtime.logs(container_id, LogRequest(follow=True))))
    await asyncio.sleep(0)
    await runtime.signal(container_id, "SIGTERM")

    async with asyncio.timeout(20):
        assert await follower == b"up\n"


async def _all(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_only_what_runs_uses_anything(runtime: Runtime, pod: PodKey):
    running, created = await a_container(runtime, pod), await a_container(runtime, pod, attempt=1)
    await runtime.start(running)
    await is_up(runtime, running)

    used = await runtime.usage([running, created, "0" * 64])

    assert list(used) == [running]
    assert used[running].cpu_nanos > 0
    assert used[running].memory_bytes > 0
