"""Pods as their users handle them: watched, patched, deleted, scheduled, looked into, and by kubectl."""

import json
import subprocess
from typing import Any

from live_api import KUBECTL, Space, eventually, refusal
from live_pods import IMAGE, a_container, a_live_pod, a_script, is_over, is_ready, is_running

Object = dict[str, Any]
NEVER = {"nodeSelector": {"conf.example/never": "there"}}


def generations(pod: Object) -> tuple[int, int]:
    return pod["metadata"]["generation"], pod["status"].get("observedGeneration", 0)


def test_a_pods_life_is_seen_by_watching(space):
    version = space.api.call("GET", space.path("Pod"))["metadata"]["resourceVersion"]
    space.create(a_live_pod("it"))
    space.until("Pod", "it", is_running)
    space.delete("Pod", "it", gracePeriodSeconds=5)

    seen = []
    for event in space.api.watch(space.path("Pod"), 30, resourceVersion=version):
        seen.append((event["type"], "deletionTimestamp" in event["object"]["metadata"]))
        if event["type"] == "DELETED":
            break

    assert seen[0] == ("ADDED", False)
    assert ("MODIFIED", True) in seen
    assert space.is_gone("Pod", "it")


def test_pods_go_by_label(space):
    for name in ("one", "two", "three"):
        space.create(a_live_pod(name, labels={"group": "yes"}))

    space.delete_all("Pod", labelSelector="group=yes")

    eventually(lambda: space.names("Pod") == [])


def test_the_generation_of_a_pod_counts_changes_of_its_spec(space):
    pod = a_live_pod("it")
    pod["metadata"]["generation"] = 100
    created = space.create(pod)["metadata"]["generation"]
    space.until("Pod", "it", lambda pod: is_running(pod) and generations(pod) == (1, 1))

    space.patch("Pod", "it", {"metadata": {"labels": {"colour": "blue"}}})
    space.patch("Pod", "it", {"spec": {"activeDeadlineSeconds": 1000}})
    space.until("Pod", "it", lambda pod: generations(pod) == (2, 2))
    toleration = {"op": "add", "path": "/spec/tolerations/-", "value": {"key": "x", "operator": "Exists"}}
    space.patch("Pod", "it", [toleration], "json")
    space.until("Pod", "it", lambda pod: generations(pod) == (3, 3))
    deleted = space.delete("Pod", "it", gracePeriodSeconds=5)

    assert (created, deleted["metadata"]["generation"]) == (1, 4)


def test_the_image_of_a_running_pod_is_replaced(space, kubectl):
    space.create(a_live_pod("it", a_container("main") | {"command": None}, restartPolicy="Always"))
    space.until("Pod", "it", is_ready)
    pod = json.loads(kubectl("get", "pod", "it", "-o", "json"))
    pod["spec"]["containers"][0]["image"] = "wherry/web:v2"

    kubectl("replace", "-f", "-", stdin=json.dumps(pod))

    replaced = space.until("Pod", "it", lambda pod: pod["status"]["containerStatuses"][0]["image"] == "wherry/web:v2")
    assert replaced["spec"]["containers"][0]["image"] == "wherry/web:v2"


def test_a_pod_says_where_it_runs(space):
    space.create(a_live_pod("it"))

    status = space.until("Pod", "it", is_running)["status"]

    assert status["hostIPs"] == [{"ip": status["hostIP"]}]
    assert status["podIPs"] == [{"ip": status["podIP"]}]


def test_a_command_runs_over_a_web_socket(space):
    space.create(a_script("it", "echo alive; trap 'exit 0' TERM; sleep 3600 & wait"))
    space.until("Pod", "it", is_ready)
    query = [("command", "echo"), ("command", "remote"), ("stdout", "1"), ("stderr", "1"), ("container", "main")]

    frames = space.api.frames(space.path("Pod", "it/exec"), query, "v4.channel.k8s.io")

    assert b"\x01remote\n" in frames
    assert json.loads(frames[-1][1:])["status"] == "Success"
    assert space.api.frames(space.path("Pod", "it/exec"), query, "channel.k8s.io") == [b"\x01remote\n"]
    assert b"".join(space.api.frames(space.path("Pod", "it/log"), [], "binary.k8s.io")) == b"alive\n"


def test_logs_are_followed_cut_and_dated(space, kubectl):
    space.create(a_script("it", "for i in 1 2 3 4 5; do echo line $i; done; sleep 1; echo end"))
    space.until("Pod", "it", is_over)

    assert space.logs("it").splitlines() == [*(f"line {i}" for i in range(1, 6)), "end"]
    assert kubectl("logs", "it", "--tail=1") == "end\n"
    assert kubectl("logs", "it", "--limit-bytes=3") == "lin"
    [stamp, *text] = kubectl("logs", "it", "--tail=1", "--timestamps").split()
    assert (len(stamp) > 20, stamp[-1], text) == (True, "Z", ["end"])
    assert kubectl("logs", "it", "--since=24h").count("\n") == 6


def test_the_sample_tells_of_requests_and_not_of_probes(space):
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    space.create(a_live_pod("it", {"name": "main", "image": IMAGE, "readinessProbe": probe}))
    space.until("Pod", "it", is_ready)

    space.run("it", "wget", "-qO-", "http://localhost:8080/none")

    told = eventually(lambda: lines if len(lines := space.logs("it").splitlines()) > 1 else None)
    assert told[0] == "version 1 listening on port 8080"
    assert [line.split()[1:] for line in told[1:]] == [["/none", "404"]]


def test_run_makes_a_pod(space, kubectl):
    kubectl("run", "it", "--image=wherry/web:local", "--restart=Never")

    spec = space.get("Pod", "it")["spec"]
    assert (spec["restartPolicy"], spec["containers"][0]["image"]) == ("Never", IMAGE)


def test_labels_come_and_go(space, kubectl):
    space.create(a_live_pod("it", **NEVER))

    kubectl("label", "pods", "it", "colour=blue")
    with_it = kubectl("get", "pod", "it", "-L", "colour")
    kubectl("label", "pods", "it", "colour-")

    assert "blue" in with_it
    assert "blue" not in kubectl("get", "pod", "it", "-L", "colour")


def test_describing_tells_of_everything(space, kubectl):
    space.create(a_live_pod("it", labels={"app": "it"}))
    space.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "it"},
            "spec": {"selector": {"app": "it"}, "ports": [{"port": 80}]},
        }
    )
    space.until("Pod", "it", is_running)
    [node] = space.names("Node")

    pod, service = kubectl("describe", "pod", "it"), kubectl("describe", "service", "it")
    for heading in ("Name:", "Namespace:", "Node:", "Labels:", "Status:", "IP:", "Image:", "State:", "QoS Class:"):
        assert heading in pod
    for heading in ("Selector:", "Type:", "IP:", "Port:", "Endpoints:", "Session Affinity:"):
        assert heading in service
    for heading in ("Conditions:", "Addresses:", "Capacity:", "Version", "Kubelet Version", "Non-terminated Pods:"):
        assert heading in kubectl("describe", "node", node)
    for heading in ("Name:", "Labels:", "Annotations:", "Status:"):
        assert heading in kubectl("describe", "namespace", space.namespace)


def test_the_control_plane_is_running(kubectl):
    assert "Kubernetes control plane" in kubectl("cluster-info")


def test_a_proxy_serves_the_api(kubeconfig, tmp_path):
    command = (KUBECTL, "--kubeconfig", kubeconfig, "proxy", f"--unix-socket={tmp_path}/proxy")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        proxy.stdout.readline()
        asked = ("curl", "-s", "--unix-socket", f"{tmp_path}/proxy", "http://localhost/api/")
        answer = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        proxy.terminate()

    assert answer["versions"] == ["v1"]


def test_a_service_is_exposed(space, kubectl):
    container = {"name": "c", "image": IMAGE}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    space.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec})

    kubectl("expose", "deployment", "x", "--name=a", "--port=1234", "--target-port=6379")
    kubectl("expose", "service", "a", "--name=b", "--port=2345", "--target-port=6379")

    ports = [space.get("Service", name)["spec"]["ports"][0] for name in "ab"]
    assert [(port["port"], port["targetPort"]) for port in ports] == [(1234, 6379), (2345, 6379)]


def is_unschedulable(pod: Object) -> bool:
    return any(c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", ()))


def test_a_pod_goes_where_its_labels_fit(space):
    [node] = space.names("Node")
    label = f"conf.example/{space.namespace}"
    space.create(a_live_pod("it", nodeSelector={label: "42"}))
    space.until("Pod", "it", is_unschedulable)

    space.patch("Node", node, {"metadata": {"labels": {label: "42"}}})

    assert space.until("Pod", "it", is_running)["spec"]["nodeName"] == node
    space.patch("Node", node, {"metadata": {"labels": {label: None}}})


def test_a_pod_that_asks_for_too_much_waits(space):
    space.create(a_live_pod("it", a_container("main", resources={"requests": {"cpu": "1000"}})))

    pod = space.until("Pod", "it", is_unschedulable)

    assert "Insufficient cpu" in next(c["message"] for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")


def test_resources_of_others_are_kept_and_counted(space):
    [node] = space.names("Node")
    resource = f"conf.example/{space.namespace}"
    path = f"/status/capacity/{resource.replace('/', '~1')}"
    space.patch("Node", f"{node}/status", [{"op": "add", "path": path, "value": "1"}], "json")
    space.until("Node", node, lambda node: node["status"]["allocatable"].get(resource) == "1")
    asks = {"limits": {resource: "1"}, "requests": {resource: "1"}}
    for name in ("one", "two"):
        space.create(a_live_pod(name, a_container("main", resources=asks)))

    space.until("Pod", "one", is_running)
    space.until("Pod", "two", is_unschedulable)

    space.patch("Node", f"{node}/status", [{"op": "remove", "path": path}], "json")


def taint_of(space: Space) -> Object:
    return {"key": f"conf.example/{space.namespace}", "value": "x", "effect": "NoExecute"}


def tolerating(space: Space, name: str, **more: Any) -> Object:
    return a_live_pod(name, tolerations=[taint_of(space) | {"operator": "Equal"} | more])


def change_taints(space: Space, taint: Object, *, is_there: bool) -> None:
    """Others of this cluster's pods tolerate everything of ours or are gone soon: the node is shared."""
    [node] = space.names("Node")

    def edit(obj: Object) -> None:
        others = [each for each in obj["spec"].get("taints", []) if each["key"] != taint["key"]]
        obj["spec"]["taints"] = [*others, taint] if is_there else others

    space.change("Node", node, edit)


def test_a_taint_evicts_when_tolerance_ends(space):
    space.create(tolerating(space, "short", tolerationSeconds=1))
    space.create(tolerating(space, "long", tolerationSeconds=600))
    space.create(tolerating(space, "for-good"))
    for name in ("short", "long", "for-good"):
        space.until("Pod", name, is_running)

    change_taints(space, taint_of(space), is_there=True)
    try:
        leaving = space.until("Pod", "short", lambda pod: "deletionTimestamp" in pod["metadata"])
    finally:
        change_taints(space, taint_of(space), is_there=False)

    assert any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in leaving["status"]["conditions"])
    space.until_gone("Pod", "short")
    assert sorted(space.names("Pod")) == ["for-good", "long"]


def test_a_bound_pod_is_not_bound_again(space):
    space.create(a_live_pod("it"))
    space.until("Pod", "it", is_running)
    target = {"apiVersion": "v1", "kind": "Node", "name": "elsewhere"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "it"}, "target": target}

    error = refusal(lambda: space.api.call("POST", space.path("Pod", "it/binding"), body))

    assert error.code == 409
