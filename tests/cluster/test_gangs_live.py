"""The example of a gang, with kubectl and the scheduler's own verbs, on nodes that only pretend."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import CommandFailed, LiveCluster, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "gang.yaml"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LiveCluster]:
    cluster = LiveCluster(tmp_path)
    try:
        cluster.wherry("up", "--no-node", "--fake-nodes", "2", "--fake-gpus", "4", "--store", "memory")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


def nodes_of(cluster: LiveCluster) -> list[str]:
    return [pod["spec"].get("nodeName", "") for pod in cluster.get("pods", "-l", "job-name=train")["items"]]


def test_a_gang_job_waits_for_all_its_cards_and_then_goes_as_one(cluster: LiveCluster) -> None:
    one_card = '{"spec":{"containers":[{"name":"c","image":"c","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}'
    cluster.kubectl("run", "single", "--image=c", f"--overrides={one_card}")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/single", "--timeout=30s")
    with pytest.raises(CommandFailed, match=r"(?s): 2\nit does not fit.*3 of 4 would fit now"):
        cluster.wherry("plan", "-f", str(EXAMPLE))
    cluster.kubectl("apply", "-f", str(EXAMPLE))

    def is_refused() -> bool:
        rows = cluster.kubectl("get", "podgroups", "--no-headers").split("\n")
        return rows[0].split()[1:5] == ["gang", "of", "4", "Unschedulable"]

    eventually(is_refused)
    assert nodes_of(cluster) == [""] * 4
    [pod, *_] = cluster.get("pods", "-l", "job-name=train")["items"]
    told = cluster.wherry("why", f"pod/{pod['metadata']['name']}")
    assert "gets its nodes together or not at all: 3 of 4 would fit now" in told
    assert "frees; held by" in told

    cluster.kubectl("delete", "pod", "single", "--now")
    cluster.kubectl("wait", "--for=condition=PodGroupInitiallyScheduled", "podgroup", "--all", "--timeout=30s")
    assert sorted(nodes_of(cluster)) == ["fake-1", "fake-1", "fake-2", "fake-2"]
    explained = cluster.kubectl("explain", "podgroup.spec.schedulingPolicy.gang.minCount")
    assert "FIELD: minCount" in explained
