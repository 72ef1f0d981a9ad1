"""What the container runtime does is counted, as dashboards of kubelets expect."""

from pathlib import Path

import pytest

from kubelet.runtime.base import Missing, RuntimeUnavailable
from kubelet.runtime.counted import Operations
from kubelet.runtime.fake import FakeRuntime
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import a_manifest, a_node, served
from wherry.client import clock


async def test_a_kubelet_tells_what_it_had_the_runtime_do(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web", {"name": "main", "image": TEST_IMAGE}))
        await node.until("web", lambda pod: pod.status.ready)
        async with served(node) as session:
            told = await (await session.get("/metrics")).text()

    for line in ("run_podsandbox", "create_container", "start_container"):
        assert f'kubelet_runtime_operations_total{{operation_type="{line}"}} 1.0' in told
    assert 'kubelet_runtime_operations_duration_seconds_bucket{le="0.005",operation_type="start_container"}' in told


async def test_failures_are_counted_and_raised():
    operations = Operations()
    runtime = operations.counting(FakeRuntime(clock.now))

    with pytest.raises((Missing, RuntimeUnavailable)):
        await runtime.start("none")

    assert (dict(operations.errors), sum(operations.seconds["start_container"].counts)) == ({"start_container": 1}, 1)
