"""The page about GPUs, followed with kubectl on nodes that only pretend."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import LiveCluster, eventually

PAGE = Path(__file__).parents[2] / "docs" / "gpus.md"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LiveCluster]:
    cluster = LiveCluster(tmp_path)
    try:
        cluster.wherry("up", "--no-node", "--fake-nodes", "2", "--fake-gpus", "4", "--store", "memory")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


def test_the_page_does_what_it_says(cluster: LiveCluster, tmp_path: Path) -> None:
    columns = cluster.kubectl("get", "resourceslices").split("\n")[0].split()
    assert columns == ["NAME", "NODE", "DRIVER", "POOL", "AGE"]

    counting = '{"spec":{"containers":[{"name":"c","image":"c","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}'
    cluster.kubectl("run", "counts", "--image=c", f"--overrides={counting}")
    manifest = tmp_path / "claims.yaml"
    manifest.write_text(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[2])
    cluster.kubectl("apply", "-f", str(manifest))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/train", "pod/counts", "--timeout=30s")

    [claim] = cluster.get("resourceclaims")["items"]
    given = {f"GPU-{each['pool']}-{each['device'][-1]}" for each in claim["status"]["allocation"]["devices"]["results"]}
    record = cluster.get("pod", "counts")["metadata"]["annotations"]["gpu.wherry.dev/devices"]
    assert len(given) == 2
    assert record not in given
    assert cluster.kubectl("get", "resourceclaims").split("\n")[1].split()[1] == "allocated,reserved"

    cluster.kubectl("delete", "pod", "train")
    eventually(lambda: not cluster.get("resourceclaims")["items"])
