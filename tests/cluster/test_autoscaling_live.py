"""examples/hpa.yaml on real Docker: load that is really there, measured, and answered with more pods and then fewer."""

import os
from collections.abc import Iterator

import pytest
from cluster.live_cluster import REPOSITORY, CommandFailed, LiveCluster, engine, eventually

pytestmark = pytest.mark.xdist_group("autoscaling")
EXAMPLE = (REPOSITORY / "examples" / "hpa.yaml").read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    if os.geteuid() != 0:
        pytest.skip("the cgroups of containers and the pod network need root")
    engine()
    cluster = LiveCluster(tmp_path_factory.mktemp("autoscaling"), "hpa")
    try:
        cluster.wherry("up")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


def test_workers_come_with_the_load_and_go_with_it(cluster: LiveCluster) -> None:
    workload, _, autoscaler = EXAMPLE.rpartition("---\n")
    cluster.kubectl("apply", "-f", "-", stdin=workload)
    cluster.kubectl("-n", "load", "rollout", "status", "deploy/worker", "--timeout=50s")
    eventually(lambda: _millicores(cluster) > 60)
    cluster.kubectl("apply", "-f", "-", stdin=autoscaler)

    eventually(lambda: _replicas(cluster) == 3, seconds=60)
    cluster.kubectl("-n", "load", "rollout", "status", "deploy/worker", "--timeout=50s")
    for name in cluster.kubectl("-n", "load", "get", "pods", "-o", "name").split():
        cluster.kubectl("-n", "load", "exec", name, "--", "touch", "/tmp/rest")

    eventually(lambda: _replicas(cluster) == 1, seconds=90)
    described = cluster.kubectl("-n", "load", "describe", "hpa", "worker")
    assert "New size: 3; reason: cpu resource utilization (percentage of request) above target" in described
    assert "New size: 1; reason: All metrics below target" in described


def test_top_shows_the_node_and_its_pods(cluster: LiveCluster) -> None:
    eventually(lambda: "worker" in _top(cluster, "pods", "-n", "load", "--containers"))
    header, node = _top(cluster, "nodes").splitlines()

    assert header.split()[:3] == ["NAME", "CPU(cores)", "CPU(%)"]
    assert node.split()[1].endswith("m")


def _top(cluster: LiveCluster, *arguments: str) -> str:
    try:
        return cluster.kubectl("top", *arguments)
    except CommandFailed as error:
        return str(error) if "not available" not in str(error) else ""


def _millicores(cluster: LiveCluster) -> int:
    lines = _top(cluster, "pods", "-n", "load", "--no-headers").split()
    return int(lines[1].removesuffix("m")) if len(lines) == 3 else 0


def _replicas(cluster: LiveCluster) -> int:
    return int(cluster.kubectl("-n", "load", "get", "deploy", "worker", "-o", "jsonpath={.spec.replicas}"))
