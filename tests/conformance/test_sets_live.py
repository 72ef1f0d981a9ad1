"""StatefulSets, DaemonSets and ReplicationControllers with real pods on one node."""

from typing import Any

import pytest
from live_api import Space, eventually
from live_pods import IMAGE, a_container, is_ready, is_running

Object = dict[str, Any]
NEW_IMAGE = "wherry/web:v2"
# Ready as long as somebody says so.
GATED = a_container("web") | {"readinessProbe": {"exec": {"command": ["test", "-f", "/ready"]}, "periodSeconds": 1}}


def a_set(kind: str = "StatefulSet", container: Any = None, **spec: Any) -> Object:
    labels = {"app": "db"}
    containers = [container or a_container("web")]
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": containers}}
    metadata = {"name": "db", "labels": labels}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def with_image(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


def is_settled(sts: Object) -> bool:
    status, replicas = sts.get("status", {}), sts["spec"]["replicas"]
    is_seen = status.get("observedGeneration") == sts["metadata"]["generation"]
    counts = [status.get(name, 0) for name in ("replicas", "availableReplicas")]
    return is_seen and counts == [replicas] * 2 and status["currentRevision"] == status["updateRevision"]


def is_everywhere(ds: Object) -> bool:
    status = ds.get("status", {})
    is_seen = status.get("observedGeneration") == ds["metadata"]["generation"]
    wanted = status.get("desiredNumberScheduled", 0)
    counts = [status.get(name, 0) for name in ("updatedNumberScheduled", "numberAvailable", "currentNumberScheduled")]
    return is_seen and wanted > 0 and counts == [wanted] * 3


def images(space: Space) -> dict[str, str]:
    pods = sorted(space.all("Pod"), key=lambda pod: pod["metadata"]["name"])
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods}


def order(space: Space, version: str, until: int) -> list[str]:
    """What comes (+) and goes (-) from then on, so many of both."""
    seen: list[str] = []
    for event in space.api.watch(space.path("Pod"), 60, resourceVersion=version):
        sign = {"ADDED": "+", "DELETED": "-"}.get(event["type"])
        if sign:
            seen.append(sign + event["object"]["metadata"]["name"])
        if len(seen) == until:
            break
    return seen


def now(space: Space) -> str:
    return str(space.api.call("GET", space.path("Pod"))["metadata"]["resourceVersion"])


def test_pods_come_and_go_in_order_and_wait_for_lame_ones(space):
    version = now(space)
    space.create(a_set(container=GATED, replicas=2))
    for name in ("db-0", "db-1"):
        eventually(lambda name=name: list(images(space))[-1:] == [name])
        space.until("Pod", name, is_running)
        space.run(name, "touch", "/ready")
    space.until("StatefulSet", "db", is_settled)
    for name in ("db-0", "db-1"):
        space.run(name, "rm", "/ready")
        space.until("Pod", name, lambda pod: not is_ready(pod))

    space.patch("StatefulSet", "db", {"spec": {"replicas": 0}})
    space.until("StatefulSet", "db", lambda sts: sts["status"]["observedGeneration"] == 2)
    staying = [name for name in images(space) if "deletionTimestamp" not in space.get("Pod", name)["metadata"]]
    # The lame one may go as soon as it is the only one.
    space.run("db-0", "touch", "/ready")

    assert staying == ["db-0", "db-1"]
    assert order(space, version, 4) == ["+db-0", "+db-1", "-db-1", "-db-0"]


def test_parallel_pods_wait_for_nobody(space):
    space.create(a_set(container=GATED, replicas=2, podManagementPolicy="Parallel"))
    eventually(lambda: list(images(space)) == ["db-0", "db-1"])

    space.patch("StatefulSet", "db", {"spec": {"replicas": 0}})

    eventually(lambda: images(space) == {})


def test_an_update_and_its_undoing_go_from_the_last_to_the_first_and_use_the_old_version_again(space, kubectl):
    first = space.create(a_set(replicas=2))
    first = space.until("StatefulSet", "db", is_settled)["status"]["currentRevision"]
    version = now(space)
    space.patch("StatefulSet", "db", with_image(NEW_IMAGE))
    second = space.until("StatefulSet", "db", lambda sts: is_settled(sts) and images(space)["db-0"] == NEW_IMAGE)
    kubectl("rollout", "undo", "statefulset/db")
    third = space.until("StatefulSet", "db", lambda sts: is_settled(sts) and images(space)["db-0"] == IMAGE)

    assert order(space, version, 8) == ["-db-1", "+db-1", "-db-0", "+db-0"] * 2
    assert second["status"]["currentRevision"] != third["status"]["currentRevision"] == first
    assert [one["revision"] for one in sorted(space.all("ControllerRevision"), key=lambda one: one["revision"])] == [
        2,
        3,
    ]


def test_a_partition_keeps_the_first_pods_as_they_were_even_when_they_are_made_anew(space):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    space.create(a_set(replicas=2, updateStrategy=strategy))
    space.until("StatefulSet", "db", is_settled)
    space.patch("StatefulSet", "db", with_image(NEW_IMAGE))
    space.until("StatefulSet", "db", lambda sts: sts["status"].get("updatedReplicas") == 1)
    space.until("Pod", "db-1", is_ready)

    for name in ("db-0", "db-1"):
        uid = space.get("Pod", name)["metadata"]["uid"]
        space.delete("Pod", name)
        space.until("Pod", name, lambda pod, uid=uid: pod["metadata"]["uid"] != uid and is_ready(pod))

    assert images(space) == {"db-0": IMAGE, "db-1": NEW_IMAGE}


def test_a_pod_keeps_its_name_in_dns_and_its_files(space):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    web = a_container("web", "hostname >> /data/names; httpd -f -p 80 -h /data")
    web["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    service = {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 80}]}
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "peers"}, "spec": service})
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    space.create(a_set(container=web, replicas=2, serviceName="peers", volumeClaimTemplates=templates))
    space.until("StatefulSet", "db", is_settled)

    uid = space.get("Pod", "db-0")["metadata"]["uid"]
    space.delete("Pod", "db-0")
    space.until("Pod", "db-0", lambda pod: pod["metadata"]["uid"] != uid and is_ready(pod))

    ask = ("wget", "-qO-", "http://db-0.peers/names")
    assert eventually(lambda: space.run("db-1", *ask) == "db-0\ndb-0\n")
    assert space.run("db-1", "hostname", "-f").strip() == f"db-1.peers.{space.namespace}.svc.cluster.local"


def test_it_is_scaled_through_its_scale(space):
    space.create(a_set(replicas=1))
    space.until("StatefulSet", "db", is_settled)

    scale = space.get("StatefulSet", "db/scale")
    scale["spec"]["replicas"] = 2
    space.put("StatefulSet", "db/scale", scale)
    space.until("StatefulSet", "db", lambda sts: sts["spec"]["replicas"] == 2 and is_settled(sts))
    patched = space.patch("StatefulSet", "db/scale", {"spec": {"replicas": 0}}, "merge")

    assert (scale["status"], patched["spec"]) == ({"replicas": 1, "selector": "app=db"}, {})


def test_a_daemon_that_is_deleted_or_fails_comes_back(space):
    space.create(a_set("DaemonSet"))
    space.until("DaemonSet", "db", is_everywhere)
    [first] = space.all("Pod")
    space.delete("Pod", first["metadata"]["name"])
    space.until_gone("Pod", first["metadata"]["name"])
    space.until("DaemonSet", "db", is_everywhere)
    [second] = space.all("Pod")

    space.patch("Pod", f"{second['metadata']['name']}/status", {"status": {"phase": "Failed"}})

    space.until_gone("Pod", second["metadata"]["name"])
    space.until("DaemonSet", "db", is_everywhere)


def test_daemons_follow_the_labels_of_nodes(space):
    ds = a_set("DaemonSet")
    ds["spec"]["template"]["spec"]["nodeSelector"] = {f"{space.namespace}/colour": "blue"}
    space.create(ds)
    [node] = space.names("Node")
    label = f"{space.namespace}/colour"

    space.patch("Node", node, {"metadata": {"labels": {label: "blue"}}})
    space.until("DaemonSet", "db", is_everywhere)
    space.patch("Node", node, {"metadata": {"labels": {label: "green"}}})
    eventually(lambda: space.all("Pod") == [])
    strategy = {"updateStrategy": {"type": "RollingUpdate"}}
    template = {"template": {"spec": {"nodeSelector": {label: "green"}}}}
    space.patch("DaemonSet", "db", {"spec": strategy | template})

    space.until("DaemonSet", "db", is_everywhere)
    space.patch("Node", node, {"metadata": {"labels": {label: None}}})


@pytest.mark.parametrize("bounds", [{"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 0, "maxSurge": 1}])
def test_an_update_of_daemons_is_remembered_and_undone(space, kubectl, bounds):
    space.create(a_set("DaemonSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": bounds}))
    space.until("DaemonSet", "db", is_everywhere)
    space.patch("DaemonSet", "db", with_image(NEW_IMAGE))
    kubectl("rollout", "status", "daemonset/db", "--timeout=30s")
    eventually(lambda: set(images(space).values()) == {NEW_IMAGE})

    history = kubectl("rollout", "history", "daemonset/db").split()[-4:]
    kubectl("rollout", "undo", "daemonset/db")

    assert history == ["1", "<none>", "2", "<none>"]
    eventually(lambda: set(images(space).values()) == {IMAGE})
    space.until("DaemonSet", "db", is_everywhere)


def test_a_replication_controller_keeps_its_number_and_lets_go_of_pods_that_match_no_more(space, kubectl):
    rc = a_set("ReplicationController", replicas=1) | {"apiVersion": "v1"}
    rc["spec"]["selector"] = {"app": "db"}
    space.create(rc)
    space.until("ReplicationController", "db", lambda rc: rc["status"].get("readyReplicas") == 1)
    [pod] = space.names("Pod")

    space.patch("Pod", pod, {"metadata": {"labels": {"app": "other"}}})
    kubectl("scale", "rc", "db", "--replicas=2")

    space.until("ReplicationController", "db", lambda rc: rc["status"].get("availableReplicas") == 2)
    assert "ownerReferences" not in space.get("Pod", pod)["metadata"]
