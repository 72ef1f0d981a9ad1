"""kubectl's own commands for StatefulSets, DaemonSets and ReplicationControllers, on nodes that only pretend."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytestmark = pytest.mark.xdist_group("sets_with_kubectl")

Kubectl = Callable[..., str]
LABELS = {"app": "set"}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[wherry.testing.Cluster]:
    with wherry.testing.cluster(nodes=3) as cluster:
        yield cluster


@pytest.fixture
def kubectl(cluster: wherry.testing.Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own; errors are what it prints."""
    namespace = f"n{abs(hash(request.node.name)) % 10**8}"

    def run(*words: str, stdin: str = "") -> str:
        command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, "-n", namespace, *words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    run("create", "namespace", namespace)
    yield run
    run("delete", "namespace", namespace, "--wait=false")


def a_set(kind: str, api_version: str = "apps/v1", **spec: object) -> str:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    selector = {"selector": {"matchLabels": LABELS}} if api_version == "apps/v1" else {}
    body = {"metadata": {"name": "set"}, "spec": {**selector, "template": template, **spec}}
    return json.dumps({"apiVersion": api_version, "kind": kind, **body})


def rolled_out(kubectl: Kubectl, what: str) -> str:
    return kubectl("rollout", "status", what, "--timeout=30s").splitlines()[-1]


def table(kubectl: Kubectl, what: str) -> list[str]:
    """The table with all columns, less ages."""
    head, *rows = [line.split() for line in kubectl("get", what, "-o", "wide").replace("NODE S", "NODE_S").splitlines()]
    age = head.index("AGE")
    return [" ".join(cells[:age] + cells[age + 1 :]) for cells in (head, *rows)]


def test_a_statefulset_is_applied_watched_updated_and_undone(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_set("StatefulSet", replicas=2, volumeClaimTemplates=[CLAIM]))

    assert rolled_out(kubectl, "sts/set") == "partitioned roll out complete: 2 new pods have been updated..."
    assert table(kubectl, "sts") == [
        "NAME READY CONTAINERS IMAGES",
        "set 2/2 app app:1",
    ]
    assert kubectl("get", "pvc", "-o", "name").split() == [
        "persistentvolumeclaim/data-set-0",
        "persistentvolumeclaim/data-set-1",
    ]
    kubectl("set", "image", "sts/set", "app=app:2")
    rolled_out(kubectl, "sts/set")
    kubectl("rollout", "undo", "sts/set")
    rolled_out(kubectl, "sts/set")
    assert kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}") == "app:1 app:1"
    assert kubectl("rollout", "history", "sts/set").split()[-4:] == ["2", "<none>", "3", "<none>"]


def test_a_statefulset_is_restarted_scaled_and_described(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_set("StatefulSet"))
    rolled_out(kubectl, "sts/set")
    before = kubectl("get", "pod", "set-0", "-o", "jsonpath={.metadata.uid}")
    kubectl("rollout", "restart", "sts/set")
    rolled_out(kubectl, "sts/set")
    kubectl("scale", "sts", "set", "--replicas=2")
    rolled_out(kubectl, "sts/set")

    assert kubectl("get", "pod", "set-0", "-o", "jsonpath={.metadata.uid}") != before
    described = kubectl("describe", "sts", "set")
    assert "Replicas:               2 desired | 2 total" in described
    assert "statefulset-controller  Created pod: set-1" in described


def test_what_a_statefulset_may_not_change_is_refused_as_in_kubernetes(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_set("StatefulSet", replicas=0))

    refused = kubectl("patch", "sts", "set", "-p", '{"spec":{"serviceName":"other"}}')

    assert refused == (
        'The StatefulSet "set" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '
        "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
        "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden\n"
    )


def test_a_daemonset_is_applied_updated_undone_and_restarted(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_set("DaemonSet"))

    assert rolled_out(kubectl, "ds/set") == 'daemon set "set" successfully rolled out'
    assert table(kubectl, "ds") == [
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR CONTAINERS IMAGES SELECTOR",
        "set 3 3 3 3 3 <none> app app:1 app=set",
    ]
    kubectl("set", "image", "ds/set", "app=app:2")
    rolled_out(kubectl, "ds/set")
    kubectl("rollout", "undo", "ds/set")
    rolled_out(kubectl, "ds/set")
    assert "app:1" in kubectl("rollout", "history", "ds/set", "--revision=3")
    kubectl("rollout", "restart", "ds/set")
    rolled_out(kubectl, "ds/set")
    assert kubectl("get", "controllerrevisions", "--no-headers").count("daemonset.apps/set") == 3


def test_daemons_are_one_per_node_and_stay_when_it_is_drained(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_set("DaemonSet"))
    rolled_out(kubectl, "ds/set")
    where = ("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
    before = sorted(kubectl(*where).split())

    drained = kubectl("drain", "fake-3", "--ignore-daemonsets", "--timeout=20s")
    kubectl("uncordon", "fake-3")

    assert before == sorted(kubectl(*where).split()) == ["fake-1", "fake-2", "fake-3"]
    assert "ignoring DaemonSet-managed Pods" in drained


def test_a_replication_controller_is_created_scaled_and_shown(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=a_set("ReplicationController", "v1", replicas=1))
    kubectl("scale", "rc", "set", "--replicas=2")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "rc/set", "--timeout=30s")

    assert table(kubectl, "rc") == [
        "NAME DESIRED CURRENT READY CONTAINERS IMAGES SELECTOR",
        "set 2 2 2 app app:1 app=set",
    ]
    assert "replication-controller  Created pod: set-" in kubectl("describe", "rc", "set")
