"""`wherry.testing`: a cluster for other people's tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import REPOSITORY, eventually
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytest_plugins = ("pytester",)


@pytest.fixture(scope="module")
def cluster() -> Iterator[wherry.testing.Cluster]:
    with wherry.testing.cluster(nodes=2) as cluster:
        yield cluster


def kubectl(cluster: wherry.testing.Cluster, *arguments: str) -> str:
    command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{arguments}: {done.stderr}\n{(cluster.folder / 'cluster.log').read_text()[-3000:]}"
    return done.stdout


def run_pod(cluster: wherry.testing.Cluster, fate: str) -> None:
    annotation = f"--annotations=sim.wherry.dev/fate={fate}"
    kubectl(cluster, "run", fate, "--image=any", "--restart=Never", annotation)


def test_kubectl_finds_ready_nodes_and_runs_a_deployment(cluster: wherry.testing.Cluster) -> None:
    kubectl(cluster, "create", "deployment", "web", "--image=any", "--replicas=4")
    kubectl(cluster, "rollout", "status", "deploy/web", "--timeout=30s")

    lines = kubectl(cluster, "get", "nodes", "--no-headers").splitlines()
    assert [line.split()[:2] for line in lines] == [["fake-1", "Ready"], ["fake-2", "Ready"]]


@pytest.mark.parametrize(
    ("fate", "shown"),
    [
        ("ready", "1/1 Running"),
        ("unready", "0/1 Running"),
        ("no-image", "0/1 ImagePullBackOff"),
        ("succeeds", "0/1 Completed"),
        ("fails", "0/1 Error"),
    ],
)
def test_a_pod_chooses_its_fate(cluster: wherry.testing.Cluster, fate: str, shown: str) -> None:
    run_pod(cluster, fate)

    eventually(lambda: " ".join(kubectl(cluster, "get", "pod", fate, "--no-headers").split()[1:3]) == shown)


def test_its_log_goes_to_its_file_and_blocks_nobody(cluster: wherry.testing.Cluster) -> None:
    kubectl(cluster, "create", "deployment", "logged", "--image=any")

    eventually(lambda: "deployment=default/logged" in (cluster.folder / "cluster.log").read_text())


def test_the_cluster_is_gone_after_its_block() -> None:
    with wherry.testing.cluster(nodes=0) as cluster:
        assert cluster.folder.exists()

    assert not cluster.folder.exists()
    assert not _commands_naming(cluster.folder)


def test_the_cluster_ends_with_a_test_that_is_killed(tmp_path: Path) -> None:
    program = "import wherry.testing\nwith wherry.testing.cluster() as c:\n    print(c.folder, flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as test:  # fmt: skip
        assert test.stdout is not None
        folder = Path(test.stdout.readline().strip())
        assert _commands_naming(folder)

        test.send_signal(signal.SIGKILL)

        eventually(lambda: not _commands_naming(folder))


def test_a_wrong_number_of_nodes_is_named() -> None:
    with pytest.raises(ValueError, match="nodes: expected 0 or more, got -1"), wherry.testing.cluster(nodes=-1):
        pass


def test_the_example_passes(pytester: pytest.Pytester) -> None:
    pytester.copy_example(str(REPOSITORY / "examples" / "integration-test"))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")

    result.assert_outcomes(passed=2)


def _commands_naming(folder: Path) -> list[str]:
    shown = subprocess.run(("ps", "-ww", "-eo", "args"), capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if f"--data-dir {folder}" in line]
