"""Claims with real kubectl and real Docker: folders of the node come and go with them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import REPOSITORY, LiveCluster, engine, eventually

pytestmark = pytest.mark.xdist_group("volumes on request")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    engine()
    cluster = LiveCluster(tmp_path_factory.mktemp("volumes"))
    try:
        cluster.wherry("up", "--nodes", "2")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


def folders(cluster: LiveCluster) -> list[Path]:
    return sorted(cluster.data_dir.glob("nodes/*/local-path/*"))


def phases(cluster: LiveCluster) -> set[str]:
    return {claim["status"]["phase"] for claim in cluster.get("pvc")["items"]}


def test_claims_of_a_published_manifest_bind_are_written_to_grow_and_go(cluster: LiveCluster) -> None:
    cluster.kubectl("apply", "-f", str(REPOSITORY / "examples" / "storage.yaml"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=30s")
    eventually(lambda: [(folder / "dates").exists() for folder in folders(cluster)] == [True, True])
    assert phases(cluster) == {"Bound"}

    cluster.kubectl("patch", "pvc", "notes", "-p", '{"spec":{"resources":{"requests":{"storage":"5Gi"}}}}')
    eventually(lambda: cluster.get("pvc", "notes")["status"]["capacity"] == {"storage": "5Gi"})

    cluster.kubectl("delete", "pvc", "notes", "published", "--wait=false")
    assert len(cluster.get("pvc")["items"]) == 2
    cluster.kubectl("delete", "pod", "writer")
    eventually(lambda: not cluster.get("pvc")["items"] and not cluster.get("pv")["items"])
    assert folders(cluster) == []
