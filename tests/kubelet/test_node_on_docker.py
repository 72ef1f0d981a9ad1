"""Whole lives of pods as real containers. Skipped, with the reason, where no Docker daemon answers."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from kubelet.cleanup import remove_everything
from kubelet.runtime.base import ExecRequest
from kubelet.runtime.docker import Docker
from tests.kubelet.docker_engine import require_docker
from tests.kubelet.engine_proxy import EngineProxy
from tests.kubelet.nodes import NodeUnderTest, a_container, a_manifest, a_node, status, waits_for

STUBBORN = "trap '' TERM; while :; do sleep 1; done"


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[EngineProxy]:
    require_docker()
    proxy = EngineProxy(tmp_path)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def node(tmp_path: Path, proxy: EngineProxy) -> AsyncIterator[NodeUnderTest]:
    cluster = f"test-{uuid4().hex[:8]}"
    docker = Docker(cluster, "n1", engine=proxy.url, call_seconds=2)
    async with a_node(tmp_path / "node", docker) as node:
        yield node
    await docker.close()
    direct = Docker(cluster, "n1")
    await remove_everything(direct, tmp_path / "node")
    await direct.close()


async def run(node: NodeUnderTest, name: str, script: str) -> str:
    """What a shell in the pod's container prints."""
    container_id = status(await node.pod(name)).container_id.removeprefix("docker://")
    return (await node.runtime.run(container_id, ("sh", "-c", script), 10)).output.decode()


async def test_a_pod_from_creation_to_nothing_left(node: NodeUnderTest):
    await node.create(a_manifest("web"))
    pod = await node.until("web", lambda pod: pod.status.ready)

    await node.admin.delete(type(pod), "web", "default")
    await node.until_gone("web")

    assert pod.status.pod_ip.count(".") == 3
    assert (await node.runtime.inventory()).all == ()
    assert not (node.folder / "pods" / pod.metadata.uid).exists()


async def test_the_pod_sees_its_names_and_addresses(node: NodeUnderTest):
    await node.create(a_manifest("web", subdomain="shop"))
    pod = await node.until("web", lambda pod: pod.status.ready)

    assert await run(node, "web", "hostname") == "web\n"
    assert f"{pod.status.pod_ip}\tweb.shop.default.svc.cluster.local\tweb" in await run(node, "web", "cat /etc/hosts")
    assert (await run(node, "web", "cat /etc/resolv.conf")).splitlines()[1:] == [
        "nameserver 10.96.0.10",
        "options ndots:5",
    ]


async def test_the_containers_of_a_pod_share_their_network(node: NodeUnderTest):
    server = a_container("server", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp")
    await node.create(a_manifest("web", a_container(), server))
    await node.until("web", lambda pod: pod.status.ready)
    await asyncio.sleep(0.3)

    assert await run(node, "web", "wget -qO- http://127.0.0.1:8080/") == "hello\n"


async def test_a_killed_container_is_started_again_and_counted(node: NodeUnderTest):
    await node.create(a_manifest("web"))
    pod = await node.until("web", lambda pod: pod.status.ready)

    await node.runtime.signal(status(pod).container_id.removeprefix("docker://"), "SIGKILL")
    pod = await node.until("web", lambda pod: status(pod).restart_count == 1 and pod.status.ready)

    last = status(pod).last_state.terminated
    assert last is not None
    assert (last.exit_code, last.reason) == (137, "Error")


async def test_a_crash_loop_backs_off_and_keeps_its_last_words(node: NodeUnderTest):
    await node.create(a_manifest("web", a_container(script="echo because > /dev/termination-log; exit 3")))

    pod = await node.until("web", lambda pod: waits_for(pod) == "CrashLoopBackOff")

    last = status(pod).last_state.terminated
    assert last is not None
    assert (last.exit_code, last.message.strip(), status(pod).restart_count) == (3, "because", 1)


async def test_what_ignores_its_signal_is_killed_when_grace_is_over(node: NodeUnderTest):
    await node.create(a_manifest("web", a_container(script=STUBBORN), terminationGracePeriodSeconds=1))
    pod = await node.until("web", lambda pod: pod.status.ready)
    begun = time.monotonic()

    await node.admin.delete(type(pod), "web", "default")
    await node.until_gone("web")

    assert 1 <= time.monotonic() - begun < 3


async def test_a_restarted_kubelet_adopts_what_runs(node: NodeUnderTest):
    await node.create(a_manifest("web"))
    before = await node.until("web", lambda pod: pod.status.ready)
    running = await node.runtime.inventory()

    await node.crash()
    await node.start()
    await asyncio.sleep(1)

    after = await node.pod("web")
    assert await node.runtime.inventory() == running
    assert (status(after).restart_count, after.status.ready) == (0, True)
    assert status(after).container_id == status(before).container_id


# The SDK leaves the sockets of calls that timed out to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_engine_that_hangs_and_breaks_doubles_nothing(node: NodeUnderTest, proxy: EngineProxy):
    await node.create(a_manifest("one"))
    await node.until("one", lambda pod: pod.status.ready)

    await node.create(a_manifest("two"))
    await asyncio.sleep(0.05)
    proxy.hang()
    await asyncio.sleep(3)  # longer than a call may take: answers are lost on the way
    proxy.resume()
    await proxy.cut()
    await asyncio.sleep(0.2)
    await proxy.start()
    for name in ("one", "two"):
        await node.until(name, lambda pod: pod.status.ready)
    await asyncio.sleep(0.5)

    inventory = await node.runtime.inventory()
    assert sorted(record.pod.name for record in inventory.containers if record.is_running) == ["one", "two"]
    assert sorted(sandbox.pod.name for sandbox in inventory.sandboxes) == ["one", "two"]
    assert status(await node.pod("one")).restart_count == 0
    gc.collect()


async def test_volumes_of_every_kind_and_their_changes(node: NodeUnderTest, tmp_path: Path):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "red"}}
    await node.create(config)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"word": "hush"}}
    await node.create(secret)
    names = ("settings", "key", "about", "scratch", "machine")
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
    (tmp_path / "machine").mkdir()
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o400}},
        {"name": "about", "downwardAPI": {"items": [{"path": "me", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "scratch", "emptyDir": {"medium": "Memory"}},
        {"name": "machine", "hostPath": {"path": str(tmp_path / "machine"), "type": "Directory"}},
    ]
    await node.create(a_manifest("web", a_container(volumeMounts=mounts), volumes=volumes))
    await node.until("web", lambda pod: pod.status.ready)

    printed = await run(
        node, "web", "cat /settings/color /key/word /about/me; echo x > /scratch/a; echo y > /machine/b"
    )
    await node.admin.update({**config, "data": {"color": "blue"}})

    assert printed == "redhushweb"
    assert (tmp_path / "machine" / "b").read_text() == "y\n"
    for _ in range(100):
        if (changed := await run(node, "web", "cat /settings/color")) == "blue":
            break
        await asyncio.sleep(0.05)
    assert changed == "blue"


async def test_privileges_are_what_the_pod_asks_for(node: NodeUnderTest):
    context = {
        "runAsUser": 65534,
        "runAsGroup": 1234,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    await node.create(a_manifest("web", a_container(securityContext=context), securityContext={"fsGroup": 77}))
    await node.until("web", lambda pod: pod.status.ready)

    printed = await run(
        node, "web", "exec 2>&1; id -u; id -g; id -G; touch /x; grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    )

    lines = printed.split("\n")
    assert lines[:2] == ["65534", "1234"]
    assert "77" in lines[2].split()
    assert "Read-only file system" in printed
    assert "CapEff:\t0000000000000000" in printed
    assert "NoNewPrivs:\t1" in printed


async def test_root_is_refused_to_a_pod_that_must_not_be_root(node: NodeUnderTest):
    await node.create(a_manifest("web", a_container(securityContext={"runAsNonRoot": True})))

    pod = await node.until("web", lambda pod: waits_for(pod) == "CreateContainerConfigError")

    waiting = status(pod).state.waiting
    assert waiting is not None
    assert waiting.message.startswith("container has runAsNonRoot and image will run as root")


async def test_a_memory_limit_ends_a_container_that_is_too_greedy(node: NodeUnderTest):
    # Docker 20.10 forgets that memory ran out if it hears of the end first: the end comes a moment later.
    script = "head -c 200000000 /dev/zero | tail || { sleep 2; exit 137; }"
    greedy = a_container(script=script, resources={"limits": {"memory": "16Mi"}})
    await node.create(a_manifest("web", greedy, restartPolicy="Never"))

    pod = await node.until("web", lambda pod: pod.status.phase == "Failed")

    ended = status(pod).state.terminated
    assert ended is not None
    assert ended.reason == "OOMKilled"


async def test_a_readiness_probe_and_a_liveness_probe_do_their_work(node: NodeUnderTest):
    probes = {
        "readinessProbe": {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1},
        "livenessProbe": {
            "exec": {"command": ["test", "!", "-e", "/tmp/ill"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    }
    await node.create(a_manifest("web", a_container(**probes)))
    first = await node.until("web", lambda pod: pod.status.phase == "Running")
    await run(node, "web", "touch /tmp/ready")
    await node.until("web", lambda pod: pod.status.ready)

    await run(node, "web", "touch /tmp/ill")
    await node.until("web", lambda pod: status(pod).restart_count == 1)

    assert not first.status.ready
    assert "Unhealthy" in await node.reasons("web")


async def test_a_probe_that_hangs_is_cut_off(node: NodeUnderTest):
    probe = {"exec": {"command": ["sleep", "600"]}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
    await node.create(a_manifest("web", a_container(livenessProbe=probe)))

    await node.until("web", lambda pod: status(pod).restart_count == 1)

    assert status(await node.pod("web")).restart_count == 1


async def test_an_exec_streams_both_ways_and_ends_its_input(node: NodeUnderTest):
    await node.create(a_manifest("web"))
    pod = await node.until("web", lambda pod: pod.status.ready)
    container_id = status(pod).container_id.removeprefix("docker://")

    session = await node.runtime.exec(container_id, ExecRequest(("sh", "-c", "cat; exit 7"), stdin=True))
    await session.write(b"over and out")
    await session.end_input()
    output = b""
    while frame := await session.read():
        output += frame[1]

    assert (output, await session.exit_code()) == (b"over and out", 7)
    await session.close()
