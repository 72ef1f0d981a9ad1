"""Deployments, ReplicaSets, disruption budgets, garbage, namespaces: what controllers make of what they are told."""

from typing import Any

import pytest
from live_api import Space, eventually, refusal
from live_pods import IMAGE, a_container, a_live_pod, has_condition, is_ready, is_running

Object = dict[str, Any]
NEW_IMAGE = "wherry/web:v2"


def an_app(kind: str, replicas: int = 1, image: str = IMAGE, **spec: Any) -> Object:
    container = a_container("web") | {"image": image}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": replicas, "selector": selector, "template": template, **spec},
    }


def is_complete(app: Object) -> bool:
    status, replicas = app.get("status", {}), app["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "availableReplicas")]
    updated = status.get("updatedReplicas", 0) if app["kind"] == "Deployment" else replicas
    is_seen = status.get("observedGeneration") == app["metadata"]["generation"]
    return is_seen and counts == [replicas] * 3 and updated == replicas


def images(space: Space) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in space.all("Pod") if not is_leaving(pod)}


def is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_it_is_scaled_through_its_scale(space, kind):
    space.create(an_app(kind))
    space.until(kind, "web", is_complete)

    scale = space.get(kind, "web/scale")
    scale["spec"]["replicas"] = 2
    space.put(kind, "web/scale", scale)
    space.until(kind, "web", lambda app: app["spec"]["replicas"] == 2 and is_complete(app))
    patched = space.patch(kind, "web/scale", {"spec": {"replicas": 0}}, "merge")

    assert (scale["kind"], scale["status"]["replicas"], patched["spec"].get("replicas", 0)) == ("Scale", 1, 0)
    assert scale["status"]["selector"] == "app=web"
    space.until(kind, "web", lambda app: app["spec"]["replicas"] == 0 and is_complete(app))


def test_a_rolling_update_adopts_what_is_there_and_replaces_it(space):
    space.create(an_app("ReplicaSet"))
    space.patch("ReplicaSet", "web", {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "7"}}})
    space.until("ReplicaSet", "web", is_complete)

    space.create(an_app("Deployment", image=NEW_IMAGE))

    space.until("Deployment", "web", is_complete)
    assert images(space) == {NEW_IMAGE}
    old, new = sorted(space.all("ReplicaSet"), key=lambda rs: rs["spec"]["replicas"])
    assert (old["metadata"]["name"], new["spec"]["replicas"]) == ("web", 1)
    assert new["metadata"]["labels"]["pod-template-hash"] == new["metadata"]["name"].removeprefix("web-")
    assert old["metadata"]["ownerReferences"][0]["name"] == "web"
    assert new["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "8"


def test_a_deployment_that_recreates_never_has_both(space):
    space.create(an_app("Deployment", strategy={"type": "Recreate"}))
    space.until("Deployment", "web", is_complete)
    version = space.api.call("GET", space.path("Pod"))["metadata"]["resourceVersion"]

    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": NEW_IMAGE}]}}}}
    space.patch("Deployment", "web", change)

    running: dict[str, str] = {pod["metadata"]["name"]: IMAGE for pod in space.all("Pod") if not is_leaving(pod)}
    for event in space.api.watch(space.path("Pod"), 30, resourceVersion=version):
        pod = event["object"]
        name, image = pod["metadata"]["name"], pod["spec"]["containers"][0]["image"]
        if event["type"] == "DELETED":
            running.pop(name, None)
        elif is_running(pod):
            running[name] = image
        assert len(set(running.values())) <= 1
        if image == NEW_IMAGE and is_ready(pod):
            break


def test_old_replica_sets_disappear(space):
    space.create(an_app("Deployment", revisionHistoryLimit=0))
    space.until("Deployment", "web", is_complete)

    space.patch("Deployment", "web", {"spec": {"template": {"metadata": {"labels": {"round": "2"}}}}})

    eventually(lambda: [rs["metadata"]["labels"].get("round") for rs in space.all("ReplicaSet")] == ["2"])


def test_scaling_in_the_middle_of_a_rollout_is_proportional(space):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    space.create(an_app("Deployment", 10, strategy=strategy))
    space.until("Deployment", "web", is_complete)
    broken = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "wherry-conformance/none:1"}]}}}}
    space.patch("Deployment", "web", broken)
    eventually(lambda: sizes(space) == [8, 5])

    space.patch("Deployment", "web/scale", {"spec": {"replicas": 30}}, "merge")

    eventually(lambda: sizes(space) == [20, 13])


def sizes(space: Space) -> list[int]:
    """How many pods its ReplicaSets want, the oldest first."""
    sets = sorted(
        space.all("ReplicaSet"), key=lambda rs: rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    )
    return [rs["spec"]["replicas"] for rs in sets]


def test_a_change_in_the_middle_of_a_rollout_wins(space):
    space.create(an_app("Deployment", 3))
    for round_ in "123":
        space.patch("Deployment", "web", {"spec": {"template": {"metadata": {"labels": {"round": round_}}}}})

    space.until("Deployment", "web", is_complete)

    assert {pod["metadata"]["labels"].get("round") for pod in space.all("Pod") if not is_leaving(pod)} == {"3"}


def test_a_rollout_is_undone(space, kubectl):
    space.create(an_app("Deployment"))
    space.until("Deployment", "web", is_complete)
    kubectl("set", "image", "deployment/web", "web=wherry-conformance/none:1")
    eventually(lambda: len(space.all("ReplicaSet")) == 2)

    kubectl("rollout", "undo", "deployment/web")

    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert images(space) == {IMAGE}
    assert "3" in kubectl("rollout", "history", "deployment/web")


def test_a_replica_set_adopts_and_releases(space):
    space.create(a_live_pod("orphan", labels={"app": "web"}, restartPolicy="Always"))
    space.create(an_app("ReplicaSet"))

    adopted = space.until("Pod", "orphan", lambda pod: pod["metadata"].get("ownerReferences"))
    space.patch("Pod", "orphan", {"metadata": {"labels": {"app": "free"}}})
    space.until("Pod", "orphan", lambda pod: not pod["metadata"].get("ownerReferences"))

    owner = adopted["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReplicaSet", "web", True)
    eventually(lambda: len(space.names("Pod", labelSelector="app=web")) == 1)


def test_status_by_hand_is_corrected(space):
    space.create(an_app("Deployment"))
    space.until("Deployment", "web", is_complete)

    space.patch("Deployment", "web/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}}, "merge")

    space.until("Deployment", "web", is_complete)


def a_budget(**spec: Any) -> Object:
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}


def evict(space: Space, pod: str) -> Any:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    return space.api.call("POST", space.path("Pod", f"{pod}/eviction"), body)


def test_a_budget_counts_and_stops_evictions(space):
    space.create(a_budget(minAvailable=3))
    space.create(an_app("ReplicaSet", 3))
    space.until("ReplicaSet", "web", is_complete)
    full = space.until("PodDisruptionBudget", "web", lambda pdb: pdb.get("status", {}).get("currentHealthy") == 3)
    pod = space.names("Pod")[0]

    error = refusal(lambda: evict(space, pod))
    space.patch("PodDisruptionBudget", "web", {"spec": {"minAvailable": "50%"}}, "merge")
    space.until("PodDisruptionBudget", "web", lambda pdb: pdb["status"]["disruptionsAllowed"] == 1)
    evict(space, pod)

    counts = {"currentHealthy": 3, "desiredHealthy": 3, "disruptionsAllowed": 0, "expectedPods": 3}
    assert {name: full["status"].get(name) for name in counts} == counts
    assert (error.code, error.status["reason"]) == (429, "TooManyRequests")
    assert error.status["details"]["causes"][0]["reason"] == "DisruptionBudget"
    eventually(lambda: pod not in space.names("Pod"))
    space.delete("PodDisruptionBudget", "web")
    evict(space, space.names("Pod", fieldSelector="status.phase=Running")[0])


def test_garbage_goes_with_its_owner(space):
    space.create(an_app("Deployment"))
    space.until("Deployment", "web", is_complete)

    space.delete("Deployment", "web", propagationPolicy="Background")

    eventually(lambda: (space.names("ReplicaSet"), space.names("Pod")) == ([], []))


def test_an_owner_waits_for_what_blocks_it(space):
    space.create(an_app("ReplicaSet", 2))
    space.until("ReplicaSet", "web", is_complete)

    space.delete("ReplicaSet", "web", propagationPolicy="Foreground")

    assert space.get("ReplicaSet", "web")["metadata"]["finalizers"] == ["foregroundDeletion"]
    space.until_gone("ReplicaSet", "web")
    assert space.names("Pod") == []


def test_orphans_stay(space):
    space.create(an_app("ReplicaSet"))
    space.until("ReplicaSet", "web", is_complete)
    [pod] = space.names("Pod")

    space.delete("ReplicaSet", "web", propagationPolicy="Orphan")

    space.until_gone("ReplicaSet", "web")
    space.until("Pod", pod, lambda pod: not pod["metadata"].get("ownerReferences"))
    assert space.names("Pod") == [pod]


def test_a_ring_of_owners_is_collected(space):
    uids = {name: space.create(a_live_pod(name))["metadata"]["uid"] for name in "abc"}
    for name, owner in zip("abc", "bca", strict=True):
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": owner,
            "uid": uids[owner],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        space.patch("Pod", name, {"metadata": {"ownerReferences": [reference]}}, "merge")

    space.delete("Pod", "a")

    eventually(lambda: space.names("Pod") == [])


def test_a_dependent_with_another_owner_stays(space):
    owners = []
    for name in ("one", "two"):
        made = space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
        owners.append({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]})
    for name, references in (("both", owners), ("first", owners[:1])):
        space.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "ownerReferences": references}})

    space.delete("ConfigMap", "one")

    space.until_gone("Secret", "first")
    space.until("Secret", "both", lambda obj: [r["name"] for r in obj["metadata"]["ownerReferences"]] == ["two"])


def test_a_namespace_takes_all_along_pods_first(space):
    space.create(a_live_pod("held", metadata={"finalizers": ["conf.example/x"]}))
    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "last"}})
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "it"}, "spec": {"ports": [{"port": 80}]}})
    space.until("Pod", "held", is_running)

    space.delete("Namespace", space.namespace)
    space.until("Pod", "held", is_leaving)
    eventually(lambda: has_condition(space.get("Namespace", space.namespace), "NamespaceFinalizersRemaining"))
    survivors = space.names("ConfigMap")
    space.patch("Pod", "held", {"metadata": {"finalizers": None}}, "merge")

    assert "last" in survivors
    space.until_gone("Namespace", space.namespace)
    space.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": space.namespace}})
    assert space.names("Service") + space.names("Pod") == []


def test_the_certificate_of_the_cluster_is_always_there(space):
    name = "kube-root-ca.crt"
    before = space.until("ConfigMap", name, bool)["data"]

    space.delete("ConfigMap", name)
    space.until("ConfigMap", name, lambda found: found["data"] == before)
    space.patch("ConfigMap", name, {"data": {"ca.crt": ""}})

    space.until("ConfigMap", name, lambda found: found["data"] == before)


def test_volumes_and_claims_find_each_other(space):
    name = space.namespace
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"},
        },
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": name}
    space.create(volume)
    space.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "it"}, "spec": claim})

    bound = space.until("PersistentVolumeClaim", "it", lambda claim: claim["status"].get("phase") == "Bound")

    assert bound["spec"]["volumeName"] == name
    space.delete("PersistentVolumeClaim", "it")
    space.until("PersistentVolume", name, lambda volume: volume["status"]["phase"] == "Released")
    space.delete("PersistentVolume", name)
    space.until_gone("PersistentVolume", name)
