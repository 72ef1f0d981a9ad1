"""What the kubelet says of the use of cpu and memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from kubelet.runtime.base import Usage
from kubelet.runtime.cgroups import Cgroups
from kubelet.runtime.docker_format import usage_of
from kubelet.runtime.fake import FakeRuntime
from kubelet.server import Server
from kubelet.serving.stats import Look, Rate, Stats, base_for, rates
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import a_manifest, a_node
from wherry.client import clock
from wherry.sim.virtual_time import in_virtual_time

AT = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1024**2


def a_look(at: float, **used: tuple[int, int]) -> Look:
    return Look(at, AT, {name: Usage(*usage) for name, usage in used.items()})


def written(root: Path, files: dict[str, str]) -> Cgroups:
    """Counters as the kernel shows them."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Cgroups(root)


def test_a_rate_is_what_was_used_between_two_looks():
    found = rates(a_look(10.0, a=(1000, 1), gone=(5, 5), anew=(900, 1)), a_look(12.0, a=(5000, 7), anew=(10, 1)))

    assert found == {"a": Rate(2000, 2.0, Usage(5000, 7))}


def test_looks_are_compared_over_a_good_while():
    looks = [a_look(at) for at in (0.0, 50.0, 92.0, 98.0, 99.5)]

    assert base_for(looks, 100.0) is looks[2]
    assert base_for(looks[3:], 100.0) is looks[3]
    assert base_for([looks[0], looks[4]], 100.0) is None


def test_cgroup_v1_under_dockers_driver(tmp_path: Path):
    cgroups = written(
        tmp_path,
        {
            "cpuacct/docker/c1/cpuacct.usage": "12345\n",
            "cpuacct/docker/c1/cpuacct.stat": "user 4\nsystem 1\n",
            "cpu/docker/c1/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 77\n",
            "memory/docker/c1/memory.usage_in_bytes": "1000\n",
            "memory/docker/c1/memory.stat": "cache 500\ntotal_inactive_file 300\ntotal_rss 400\ntotal_cache 500\n",
        },
    )

    assert cgroups.read("c1") == Usage(12345, 700, 40_000_000, 10_000_000, 9, 2, 77, 1000, 400, 500)
    assert cgroups.read("c2") is None


def test_cgroup_v2_under_systemds_driver(tmp_path: Path):
    group = "system.slice/docker-c1.scope"
    cgroups = written(
        tmp_path,
        {
            "cgroup.controllers": "cpu memory\n",
            f"{group}/cpu.stat": "usage_usec 12\nuser_usec 10\nsystem_usec 2\nnr_periods 9\nthrottled_usec 7\n",
            f"{group}/memory.current": "1000\n",
            f"{group}/memory.stat": "anon 500\ninactive_file 300\nfile 400\n",
        },
    )

    assert cgroups.read("c1") == Usage(12000, 700, 10_000, 2000, 9, 0, 7000, 1000, 500, 400)


def test_a_container_out_of_memory_ends_whole_where_the_kernel_can_do_that(tmp_path: Path):
    group = "system.slice/docker-c1.scope"
    first = written(tmp_path / "v1", {"memory/docker/c1/memory.oom_control": "0"})
    second = written(tmp_path / "v2", {"cgroup.controllers": "memory\n", f"{group}/memory.oom.group": "0"})

    for cgroups in (first, second):
        cgroups.let_die_as_one("c1")
        cgroups.let_die_as_one("gone")

    files = {path.name: path.read_text() for path in tmp_path.rglob("memory.oom*")}
    assert files == {"memory.oom_control": "0", "memory.oom.group": "1"}


def test_docker_says_the_same_where_there_are_no_groups():
    memory = {"usage": 1000, "stats": {"total_inactive_file": 300}}
    running = {"cpu_stats": {"cpu_usage": {"total_usage": 12345}}, "memory_stats": memory}

    assert usage_of(running) == Usage(12345, 700)
    assert usage_of({"cpu_stats": {}, "memory_stats": {}}) is None


async def test_a_kubelet_tells_what_its_pods_use(tmp_path: Path):
    runtime = FakeRuntime(lambda: datetime.now(UTC), images=(TEST_IMAGE,))
    runtime.load = lambda record: (250, 64 * MIB)
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web"))
        await node.until("web", lambda pod: pod.status.ready)
        assert node.kubelet is not None
        server = Server(node.kubelet)
        await server.start("127.0.0.1", 0, None)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
            summaries = await asyncio.gather(*(_summary(client) for _ in range(3)))
            totals = await (await client.get("/metrics/resource")).text()
        await server.stop()

    [pod] = summaries[0]["pods"]
    [container] = pod["containers"]
    assert (pod["podRef"]["name"], container["name"]) == ("web", "app")
    assert 0.24e9 < container["cpu"]["usageNanoCores"] < 0.26e9
    assert container["memory"]["workingSetBytes"] == 64 * MIB
    assert summaries[0]["node"]["nodeName"] == "n1"
    assert summaries[0]["node"]["fs"]["capacityBytes"] > 0
    assert pod["memory"]["workingSetBytes"] == 64 * MIB
    assert 'container_memory_working_set_bytes{container="app",namespace="default",pod="web"} 6.7108864e+07' in totals
    assert 'pod_memory_working_set_bytes{namespace="default",pod="web"} 6.7108864e+07' in totals


@in_virtual_time
async def test_what_began_since_the_last_look_is_told_as_well(tmp_path: Path):
    runtime = FakeRuntime(clock.now, images=(TEST_IMAGE,))
    runtime.load = lambda record: (250, 64 * MIB)
    async with a_node(tmp_path, runtime) as node:
        stats = Stats(runtime, node.kubelet.charges, node_usage=lambda: (0, 0))
        await stats.look()
        await node.create(a_manifest("web"))
        await node.until("web", lambda pod: pod.status.ready)
        await asyncio.sleep(10)

        [pod] = (await stats.summary("n1", tmp_path))["pods"]

    assert [round(each["cpu"]["usageNanoCores"] / 1e9, 2) for each in pod["containers"]] == [0.25]


async def _summary(client: aiohttp.ClientSession) -> dict[str, object]:
    async with client.get("/stats/summary") as answer:
        return await answer.json()
