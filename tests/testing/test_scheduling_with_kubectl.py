"""Scheduling as one sees it with kubectl, on nodes that only pretend."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytestmark = pytest.mark.xdist_group("scheduling_with_kubectl")

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def cluster() -> Iterator[wherry.testing.Cluster]:
    with wherry.testing.cluster(nodes=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kubectl(cluster: wherry.testing.Cluster) -> Kubectl:
    def run(*words: str, stdin: str = "") -> str:
        command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    return run


def a_pod(name: str, cpu: str, **spec: object) -> str:
    container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def is_ready(kubectl: Kubectl, name: str) -> bool:
    return "condition met" in kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")


def test_an_urgent_pod_takes_the_place_of_another_which_says_why(kubectl):
    kubectl("create", "priorityclass", "urgent", "--value=1000")
    for name in ("low-1", "low-2"):
        kubectl("apply", "-f-", stdin=a_pod(name, "6"))
        assert is_ready(kubectl, name)

    kubectl("apply", "-f-", stdin=a_pod("training", "6", priorityClassName="urgent"))

    assert is_ready(kubectl, "training")
    [left] = [name for name in ("low-1", "low-2") if name in kubectl("get", "pods", "-o", "name")]
    uid = kubectl("get", "pod", "training", "-o", "jsonpath={.metadata.uid}")
    node = kubectl("get", "pod", "training", "-o", "jsonpath={.spec.nodeName}")
    gone = {"low-1": "low-2", "low-2": "low-1"}[left]
    told = kubectl("get", "events", "--field-selector=reason=Preempted", "-o", "jsonpath={.items[*].message}")
    assert told == f"Preempted by pod {uid} on node {node}"
    assert gone in kubectl("get", "events", "--field-selector=reason=Preempted")
    assert kubectl("get", "pod", "training", "-o", "jsonpath={.status.nominatedNodeName}") == ""
