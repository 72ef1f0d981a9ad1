"""What a cluster without containers keeps, by store, and what it needs."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import CommandFailed, LiveCluster, eventually


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LiveCluster]:
    cluster = LiveCluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_objects_outlive_the_cluster(cluster: LiveCluster, store: str) -> None:
    if store == "etcd" and not shutil.which("etcd"):
        pytest.skip("no etcd binary on this machine: apt-get install etcd-server")
    cluster.wherry("up", "--no-node", "--store", store)
    cluster.kubectl("create", "ns", "kept")
    cluster.wherry("down")

    cluster.wherry("up")

    assert cluster.get("ns", "kept")["status"]["phase"] == "Active"


def test_the_memory_store_begins_anew(cluster: LiveCluster) -> None:
    cluster.wherry("up", "--no-node", "--store", "memory")
    cluster.kubectl("create", "ns", "lost")
    os.kill(cluster.processes()["apiserver"], signal.SIGKILL)

    eventually(lambda: _namespaces(cluster) and "lost" not in _namespaces(cluster))


def test_fake_nodes_run_pods_without_docker(cluster: LiveCluster) -> None:
    cluster.wherry("up", "--no-node", "--fake-nodes", "3", "--store", "memory")

    cluster.kubectl("create", "deployment", "web", "--image=any", "--replicas=6")
    cluster.kubectl("rollout", "status", "deploy/web", "--timeout=30s")

    nodes = {pod["spec"]["nodeName"] for pod in cluster.get("pods")["items"]}
    assert nodes == {"fake-1", "fake-2", "fake-3"}


def test_status_knows_who_runs(cluster: LiveCluster) -> None:
    with pytest.raises(CommandFailed, match="there is no cluster"):
        cluster.wherry("status")
    cluster.wherry("up", "--no-node", "--store", "memory")

    assert f"{cluster.name}: running" in cluster.wherry("status")


def test_files_with_keys_are_closed_to_others(cluster: LiveCluster) -> None:
    cluster.wherry("up", "--no-node", "--store", "memory")

    files = [cluster.kubeconfig, *cluster.data_dir.glob("pki/*"), *cluster.data_dir.glob("kubeconfig/*")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    shown = subprocess.run(("ps", "-ww", "-eo", "args"), capture_output=True, text=True).stdout
    assert "PRIVATE KEY" not in shown


def _namespaces(cluster: LiveCluster) -> list[str]:
    try:
        return [namespace["metadata"]["name"] for namespace in cluster.get("ns")["items"]]
    except CommandFailed:
        return []
