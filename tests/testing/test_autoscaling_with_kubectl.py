"""kubectl top, autoscale, get and describe of autoscalers, on nodes that only pretend."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytestmark = pytest.mark.xdist_group("autoscaling_with_kubectl")

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """kubectl with a Deployment of two busy pods and one quiet pod; errors are what it prints."""
    with wherry.testing.cluster(nodes=2) as cluster:

        def run(*words: str, stdin: str = "") -> str:
            command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *words)
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
            return done.stdout + done.stderr

        run("apply", "-f", "-", stdin=json.dumps(a_deployment("busy", 2, cpu="90m", memory="64Mi")))
        run("apply", "-f", "-", stdin=json.dumps(a_deployment("quiet", 1, cpu="5m", memory="16Mi")))
        run("rollout", "status", "deploy/busy", "--timeout=30s")
        run("rollout", "status", "deploy/quiet", "--timeout=30s")
        yield run


def a_deployment(name: str, replicas: int, **usage: str) -> dict[str, object]:
    annotations = {f"sim.wherry.dev/{resource}": amount for resource, amount in usage.items()}
    container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    template = {"metadata": {"labels": {"app": name}, "annotations": annotations}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def until(look: Callable[[], str], wanted: str) -> str:
    deadline = time.monotonic() + 60
    while wanted not in (seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"{wanted!r} is not in\n{seen}")
        time.sleep(0.2)
    return seen


def test_top_pods_sorts_and_selects(kubectl: Kubectl):
    lines = kubectl("top", "pods", "--sort-by=cpu", "--no-headers").splitlines()
    [chosen] = kubectl("top", "pods", "-l", "app=quiet", "--containers", "--no-headers").splitlines()

    assert [line.split()[1:] for line in lines] == [["90m", "64Mi"], ["90m", "64Mi"], ["5m", "16Mi"]]
    assert chosen.split()[1:] == ["app", "5m", "16Mi"]


def test_top_nodes_adds_up_and_compares_with_what_there_is(kubectl: Kubectl):
    header, *nodes = kubectl("top", "nodes").splitlines()

    assert header.split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert sum(int(node.split()[1].removesuffix("m")) for node in nodes) == 185


def test_top_across_namespaces_and_of_one_pod(kubectl: Kubectl):
    everywhere = kubectl("top", "pods", "-A", "--no-headers").splitlines()
    missing = kubectl("top", "pod", "nobody")

    assert [line.split()[0] for line in everywhere] == ["default"] * 3
    assert missing == 'Error from server (NotFound): podmetrics.metrics.k8s.io "default/nobody" not found\n'


def test_autoscale_get_and_describe(kubectl: Kubectl):
    assert "autoscaled" in kubectl("autoscale", "deploy/busy", "--cpu=60%", "--min=1", "--max=4")
    row = until(lambda: kubectl("get", "hpa", "busy", "--no-headers"), "90%/60%")
    described = until(lambda: kubectl("describe", "hpa", "busy"), "SuccessfulRescale")

    assert row.split()[1:6] == ["Deployment/busy", "cpu:", "90%/60%", "1", "4"]
    assert "resource cpu on pods  (as a percentage of request):  90% (90m) / 60%" in described
    assert "New size: 3; reason: cpu resource utilization (percentage of request) above target" in described
    assert "ValidMetricFound" in described


def test_the_first_version_shows_the_same(kubectl: Kubectl):
    kubectl("autoscale", "deploy/quiet", "--name=first", "--cpu=60%", "--max=2")

    shown = json.loads(kubectl("get", "horizontalpodautoscalers.v1.autoscaling", "first", "-o", "json"))

    assert (shown["apiVersion"], shown["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 60)


def test_explain_knows_both_groups(kubectl: Kubectl):
    assert "scaleTargetRef" in kubectl("explain", "hpa.spec")
    assert "containers" in kubectl("explain", "pods", "--api-version=metrics.k8s.io/v1beta1")
