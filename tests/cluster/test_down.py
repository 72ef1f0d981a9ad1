"""`wherry down` leaves the machine as it was, whatever happened before."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import CommandFailed, LiveCluster, Shop, engine, eventually

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.stopping import remove_data
from wherry.volumes.memory import shared_memory_of

pytestmark = pytest.mark.xdist_group("down")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LiveCluster]:
    engine()
    cluster = LiveCluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


PREPARED = """
apiVersion: v1
kind: Pod
metadata: {name: prepared}
spec:
  initContainers: [{name: first, image: "wherry/web:local", command: ["true"]}]
  containers: [{name: web, image: "wherry/web:local"}]
---
apiVersion: v1
kind: Pod
metadata: {name: done}
spec: {restartPolicy: Never, containers: [{name: it, image: "wherry/web:local", command: ["true"]}]}
"""


def test_down_leaves_the_data_only_and_after_up_all_pods_live_on(cluster: LiveCluster, tmp_path: Path) -> None:
    # As for an ordinary user, who may not mount: secrets and tokens are in the machine's shared memory.
    (tmp_path / "mount").symlink_to("/bin/false")
    cluster.environment["PATH"] = f"{tmp_path}:{cluster.environment['PATH']}"
    cluster.wherry("up")
    shop = Shop(cluster)
    shop.open()
    cluster.kubectl("apply", "-f", "-", stdin=PREPARED)
    for condition in ("condition=Ready pod/prepared", "jsonpath={.status.phase}=Succeeded pod/done"):
        cluster.kubectl("wait", "--timeout=40s", "--for", *condition.split())
    (before,) = cluster.get("pod", "prepared")["status"]["containerStatuses"]
    assert all(shared_memory_of(pod["metadata"]["uid"]).is_dir() for pod in shop.pods())

    cluster.wherry("down")
    assert cluster.traces() == []
    cluster.wherry("up")

    shop.rolled_out()
    assert len(shop.names()) == 3
    eventually(lambda: restarts_of(cluster, "prepared") == before["restartCount"] + 1)
    cluster.kubectl("wait", "--timeout=40s", "--for=condition=Ready", "pod/prepared")
    assert cluster.get("pod", "done")["status"]["phase"] == "Succeeded"
    cluster.kubectl("delete", "pods", "--all", "--timeout=40s")


def restarts_of(cluster: LiveCluster, name: str) -> int:
    (status,) = cluster.get("pod", name)["status"]["containerStatuses"]
    return int(status["restartCount"])


@pytest.mark.parametrize("killed", ["supervisor", "kubelet", "everything"])
def test_down_after_a_crash_leaves_nothing(cluster: LiveCluster, killed: str) -> None:
    cluster.wherry("up")
    Shop(cluster).open()
    for name, pid in sorted(cluster.processes().items(), reverse=True):
        if killed == "everything" or name.startswith(killed):
            os.kill(pid, signal.SIGKILL)

    cluster.wherry("down", "--purge")

    assert cluster.traces() == []
    assert not cluster.data_dir.exists()


def test_pods_outlive_the_control_plane_and_are_adopted(cluster: LiveCluster) -> None:
    cluster.wherry("up")
    shop = Shop(cluster)
    shop.open()
    before = {container["Id"] for container in cluster.containers()}
    old = cluster.processes()
    os.kill(old["supervisor"], signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in old.values()))

    cluster.wherry("up")

    shop.rolled_out()
    assert {container["Id"] for container in cluster.containers()} == before
    assert [shop.restarts(name) for name in shop.names()] == [0, 0, 0]


def test_up_again_changes_nothing_and_says_what_it_may_not_change(cluster: LiveCluster) -> None:
    cluster.wherry("up", "--nodes", "2")
    before = cluster.processes()

    cluster.wherry("up")
    with pytest.raises(CommandFailed, match=r"--nodes 3: cluster .* runs with 2"):
        cluster.wherry("up", "--nodes", "3")

    assert cluster.processes() == before
    assert len(cluster.get("nodes")["items"]) == 2


@pytest.mark.parametrize("ended", ["stopped", "crashed"])
def test_nodes_that_are_no_more_wanted_go_with_their_pods_and_containers(cluster: LiveCluster, ended: str) -> None:
    cluster.wherry("up", "--nodes", "2", "--fake-nodes", "2")
    Shop(cluster).open()
    first, old = sorted(
        node["metadata"]["name"] for node in cluster.get("nodes")["items"] if "fake" not in node["metadata"]["name"]
    )
    if ended == "stopped":
        cluster.wherry("down")
    else:
        for _, pid in sorted(cluster.processes().items(), reverse=True):
            os.kill(pid, signal.SIGKILL)

    cluster.wherry("up", "--nodes", "1", "--fake-nodes", "1")

    names = {node["metadata"]["name"] for node in cluster.get("nodes")["items"]}
    assert (old, names) == (f"{first}-2", {first, "fake-1"})
    assert {pod["spec"].get("nodeName") for pod in cluster.get("pods", "-A")["items"]} <= {*names, None}
    assert cluster.containers(io_wherry_node=old) == []
    assert "2 of 2 Ready" in cluster.wherry("status")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_is_mounted_below_the_data_is_never_purged_also_behind_a_link(tmp_path: Path) -> None:
    theirs, data, link = tmp_path / "theirs", tmp_path / "data", tmp_path / "link"
    mounted = data / "nodes" / "n1"
    for folder in (theirs, mounted):
        folder.mkdir(parents=True)
    (theirs / "thesis").write_text("three years")
    link.symlink_to(data)

    subprocess.run(("mount", "--bind", str(theirs), str(mounted)), check=True)
    try:
        with pytest.raises(ClusterProblem, match="is still mounted, so the data stays"):
            remove_data(Layout("x", link))
    finally:
        subprocess.run(("umount", str(mounted)), check=True)

    assert (theirs / "thesis").read_text() == "three years"
