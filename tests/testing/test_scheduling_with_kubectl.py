"""Scheduling as one sees it with kubectl, on nodes that only pretend."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing
from wherry.cli import main

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


def test_an_urgent_pod_takes_the_place_of_another_which_says_why(cluster, kubectl):
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
    why = ask(cluster, "why", "pod/training")[1]
    before = "0/2 nodes are available: 2 Insufficient cpu."
    assert why[0] == f"default/training: {node}, by preemption; before: {before}"
    assert why[1].startswith(f"  {node}: NodeResourcesFit: Insufficient cpu (wants 6, free ")
    assert why[1].endswith(f"; default/{gone} made way: of 2 nodes this is where that cost least")
    assert len(why) == 3


def ask(cluster: wherry.testing.Cluster, *words: str, stdin: str = "") -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, [*words, "--kubeconfig", cluster.kubeconfig], input=stdin)
    return result.exit_code, result.output.splitlines()


def test_it_says_why_a_pod_is_where_it_is_also_when_it_is_gone(cluster, kubectl):
    kubectl("apply", "-f-", stdin=a_pod("asked", "1"))
    assert is_ready(kubectl, "asked")
    node = kubectl("get", "pod", "asked", "-o", "jsonpath={.spec.nodeName}")

    code, lines = ask(cluster, "why", "pod/asked")
    anew = ask(cluster, "why", "pod/asked", "--now")[1]
    kubectl("delete", "pod", "asked")
    gone = ask(cluster, "why", "pod/asked")[1]

    assert (code, len(lines)) == (0, 3)
    assert re.match(rf"default/asked: {node}(, then \S+-\d \(.*\))?; \d of 2 nodes can hold it$", lines[0])
    assert "NodeResourcesFit" in lines[1]
    assert anew[0].endswith("as the nodes are now, without it:")
    assert gone == [f"{lines[0]} (the pod is gone)", *lines[1:]]


def test_it_says_what_a_pending_pod_waits_for(cluster, kubectl):
    kubectl("apply", "-f-", stdin=a_pod("waiting", "7"))
    kubectl("wait", "--for=condition=PodScheduled=false", "pod/waiting", "--timeout=30s")

    code, lines = ask(cluster, "why", "pod/waiting")
    kubectl("delete", "pod", "waiting")
    gone = ask(cluster, "why", "pod/waiting")[1]

    assert code == 0
    assert gone[0].endswith("(the pod is gone)")
    assert [line for line in gone if "Insufficient cpu (wants 7" in line]
    assert re.fullmatch(r"that is what the scheduler found \d+s ago", gone[-1])
    assert lines[0].startswith("default/waiting: 0/2 nodes are available: 2 Insufficient cpu.")
    assert any(
        re.match(r"it fits on \S+-\d when \S+ cpu frees; held by default/(low|training)", line) for line in lines
    )


def test_of_a_pod_with_gates_it_says_so_first_though_there_is_room(cluster, kubectl):
    kubectl("apply", "-f-", stdin=a_pod("gated", "10m", schedulingGates=[{"name": "lab.example/paid"}]))

    lines = ask(cluster, "why", "pod/gated")[1]
    kubectl("delete", "pod", "gated")

    assert lines[0] == "it is not looked at before its scheduling gates are removed: lab.example/paid"
    assert lines[1].startswith("default/gated: fake-")


def test_a_plan_takes_several_files_and_pods_of_no_namespace_are_refused_as_such(cluster, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(a_pod(name, "10m"))

    both = ask(cluster, "plan", "-f", str(tmp_path / "a"), "-f", str(tmp_path / "b"))[1]
    code, lines = ask(cluster, "plan", "-n", "nowhere", "-f", str(tmp_path / "a"))

    assert both[:2] == ["it fits", "2 of 2 pods fit:"]
    assert (code, lines[0].partition(": ")[2][:45]) == (3, 'the API server would refuse it: namespaces "n')


def test_a_plan_says_by_its_exit_status_whether_a_job_fits_and_changes_nothing(cluster, kubectl):
    def job(cpu: str, **spec: object) -> str:
        template = {"spec": {"restartPolicy": "Never", **json.loads(a_pod("x", cpu, **spec))["spec"]}}
        body = {"parallelism": 2, "template": template}
        return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": body})

    before = kubectl("get", "pods", "-o", "name")

    fits = ask(cluster, "plan", "-f", "-", stdin=job("500m"))
    preempts = ask(cluster, "plan", "-f", "-", stdin=job("6", priorityClassName="system-cluster-critical"))
    too_much = ask(cluster, "plan", "-f", "-", stdin=job("9"))

    assert (fits[0], fits[1][:2]) == (0, ["it fits", "2 of 2 pods fit:"])
    assert (preempts[0], preempts[1][0]) == (1, "it fits if others make way")
    assert (too_much[0], too_much[1][:2]) == (2, ["it does not fit", "0 of 2 pods fit"])
    assert kubectl("get", "pods", "-o", "name") == before


def test_a_plan_takes_the_namespace_that_comes_with_the_manifest_and_says_by_3_what_it_cannot_tell(cluster):
    fits, lines = ask(cluster, "plan", "-f", str(Path(__file__).parents[2] / "examples/web.yaml"))
    nameless = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": []}}'
    problems = [
        ask(cluster, "plan", "-f", "-", stdin=text)
        for text in ("kind: Pod", "a: [", "kind: Service", '{"kind": "Pod", "spec": {"containers": []}}', nameless)
    ]

    assert (fits, lines[0]) == (0, "it fits")
    assert [code for code, _ in problems] == [3, 3, 3, 3, 3]
    assert problems[0][1][0] == "Error: an object of the manifest lacks its field 'spec'"
    assert problems[3][1][0] == "Error: an object of the manifest lacks its field 'apiVersion'"
    assert problems[4][1][0].endswith("is invalid: spec.containers: Required value")


def test_a_plan_says_what_the_api_server_would_refuse_and_which_pods_a_quota_keeps_from_being_made(cluster, kubectl):
    def job(place: str = "lab", **spec: object) -> str:
        template = {"spec": {"restartPolicy": "Never", **json.loads(a_pod("x", "100m", **spec))["spec"]}}
        metadata = {"name": "train", "namespace": place}
        body = {"parallelism": 4, "scheduling": {"schedulingPolicy": {"gang": {}}}, "template": template}
        return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": body})

    kubectl("create", "namespace", "lab")
    fits = ask(cluster, "plan", "-f", "-", stdin=job())
    kubectl("create", "quota", "few", "--namespace=lab", "--hard=pods=3")
    kubectl("wait", "--for=jsonpath={.status.used.pods}=0", "--namespace=lab", "quota/few", "--timeout=30s")
    code, lines = ask(cluster, "plan", "-f", "-", stdin=job())
    refused = [
        ask(cluster, "plan", "-f", "-", stdin=text)
        for text in (job("nowhere"), job(restartPolcy="Never"), job(schedulerName="theirs"))
    ]

    assert fits == (0, ["it fits", "4 of 4 pods fit:", *fits[1][2:-1], fits[1][-1]])
    over = "exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"
    assert (code, lines) == (
        2,
        [
            "it does not fit",
            "0 of 4 pods fit",
            f"Job lab/train: 1 of 4 pods refused: {over}",
            "waiting for 1 more pods of group train: 3 of 4",
        ],
    )
    assert [code for code, _ in refused] == [3, 3, 3]
    assert 'namespaces "nowhere" not found; `kubectl create namespace nowhere` makes it' in refused[0][1][0]
    assert 'unknown field "spec.template.spec.restartPolcy"' in refused[1][1][0]
    assert "a pod of Job lab/train wants schedulerName theirs" in refused[2][1][0]


def test_a_plan_knows_the_claims_that_come_with_a_pod_and_calls_the_pod_by_its_name(cluster):
    exactly = {"deviceClassName": "mine", "count": 5}
    spec = {"spec": {"devices": {"requests": [{"name": "cards", "exactly": exactly}]}}}
    api = "resource.k8s.io/v1"
    template = {"apiVersion": api, "kind": "ResourceClaimTemplate", "metadata": {"name": "five"}, "spec": spec}
    kind = {"apiVersion": api, "kind": "DeviceClass", "metadata": {"name": "mine"}, "spec": {}}
    use = {"name": "gpus", "resourceClaimTemplateName": "five"}
    pod = a_pod("giant", "1", resourceClaims=[use])

    alone = ask(cluster, "plan", "-f", "-", stdin=pod)
    both = ask(cluster, "plan", "-f", "-", stdin="\n---\n".join((pod, json.dumps(template), json.dumps(kind))))

    assert (alone[0], alone[1][0]) == (both[0], both[1][0]) == (2, "it does not fit")
    assert 'resourceclaimtemplate "five" not found' in alone[1][2]
    assert both[1][2] == "default/giant: 0/2 nodes are available: 2 cannot allocate all claims."


def an_object(kind: str, name: str, version: str = "v1", **more: object) -> str:
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more})


def test_a_plan_knows_quotas_priorities_and_volumes_that_come_with_the_manifest(cluster):
    few = an_object("ResourceQuota", "few", spec={"hard": {"requests.cpu": "1"}})
    quiet = {"containers": [{"name": "app", "image": "app:1"}]}
    urgent = an_object("PriorityClass", "new", "scheduling.k8s.io/v1", value=100)
    kind = an_object("StorageClass", "own", "storage.k8s.io/v1", provisioner="kubernetes.io/no-provisioner")
    wants = {"storageClassName": "own", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    sizes = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "own"}
    volume = an_object("PersistentVolume", "one", spec={**sizes, "hostPath": {"path": "/x"}})
    claim = an_object("PersistentVolumeClaim", "data", spec=wants)
    mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    app = {"name": "app", "image": "app:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [app]}}
    made = {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": wants}], "template": template}
    several = {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, **made}
    db, reader = an_object("StatefulSet", "db", "apps/v1", spec=several), a_pod("one", "100m", volumes=mounted)

    def planned(*manifests: str) -> str:
        code, lines = ask(cluster, "plan", "-f", "-", stdin="\n---\n".join(manifests))
        return lines[0] if code == 0 else next(line for line in lines[2:] if "default/" in line)

    over = "Pod default/two: 1 of 1 pods refused: exceeded quota: few, requested: requests.cpu=2, used: requests.cpu="
    assert planned(few, a_pod("two", "2")).startswith(over)
    assert planned(few, an_object("Pod", "quiet", spec=quiet)).endswith("must specify requests.cpu for: app")
    assert planned(urgent, a_pod("now", "100m", priorityClassName="new")) == "it fits"
    assert planned(kind, volume, claim, reader) == "it fits"
    assert "didn't find available persistent volumes to bind" in planned(kind, claim, reader)
    assert planned(kind, volume, db).startswith("default/db-1: 0/2 nodes are available: 2 node(s) didn't find")


def test_a_plan_knows_limit_ranges_that_come_with_the_manifest(cluster):
    item = {"type": "Container", "max": {"cpu": "1000"}, "defaultRequest": {"cpu": "900"}}
    bounds = an_object("LimitRange", "bounds", spec={"limits": [item]})
    silent = an_object("Pod", "silent", spec={"containers": [{"name": "app", "image": "app:1"}]})
    app = {"name": "app", "image": "app:1", "resources": {"limits": {"cpu": "2k"}}}
    greedy = an_object("Pod", "greedy", spec={"containers": [app]})

    by_default = ask(cluster, "plan", "-f", "-", stdin=f"{bounds}\n---\n{silent}")
    beyond = ask(cluster, "plan", "-f", "-", stdin=f"{bounds}\n---\n{greedy}")

    assert (by_default[0], beyond[0]) == (2, 2)
    assert any("2 Insufficient cpu" in line for line in by_default[1])
    assert "Pod default/greedy: refused: maximum cpu usage per Container is 1k, but limit is 2k" in beyond[1]
