"""Ephemeral containers look into a running pod, ephemeral volumes go with theirs, and containers grow."""

from typing import Any

from live_api import Space, eventually
from live_pods import IMAGE, a_container, a_live_pod, is_running

Object = dict[str, Any]


def look_into(space: Space, pod: str, name: str, script: str, **fields: Any) -> None:
    """Add a container by the subresource, as `kubectl debug` does."""
    added = {"name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script], **fields}
    path = f"{space.path('Pod', pod)}/ephemeralcontainers"
    space.api.patch(path, {"spec": {"ephemeralContainers": [added]}})


def states(pod: Object) -> dict[str, str]:
    """Which ephemeral container is in which state."""
    return {each["name"]: next(iter(each["state"])) for each in pod["status"].get("ephemeralContainerStatuses", ())}


def test_containers_are_added_to_a_running_pod_and_answer(space):
    space.create(a_live_pod("it"))
    space.until("Pod", "it", is_running)

    look_into(space, "it", "first", "ps; sleep 60", targetContainerName="main")
    space.until("Pod", "it", lambda pod: states(pod) == {"first": "running"})
    look_into(space, "it", "second", "exit 3")
    space.until("Pod", "it", lambda pod: states(pod) == {"first": "running", "second": "terminated"})

    assert "sleep 3600" in eventually(lambda: space.logs("it", container="first"))
    assert space.run("it", "echo", "inside", container="first") == "inside\n"
    assert is_running(space.get("Pod", "it"))


def test_an_ephemeral_volume_is_a_claim_of_the_pods_own(space):
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": wanted}}}
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    space.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=[volume]))
    space.until("Pod", "it", is_running)

    space.run("it", "sh", "-c", "echo kept > /scratch/file")
    claim = space.get("PersistentVolumeClaim", "it-scratch")
    space.delete("Pod", "it")

    assert claim["metadata"]["ownerReferences"][0]["name"] == "it"
    space.until_gone("PersistentVolumeClaim", "it-scratch")


def test_a_running_container_gets_more_without_a_restart(space):
    small = {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}
    large = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "48Mi"}}
    space.create(a_live_pod("it", a_container("main", resources=small)))
    space.until("Pod", "it", is_running)

    path = f"{space.path('Pod', 'it')}/resize"
    space.api.patch(path, {"spec": {"containers": [{"name": "main", "resources": large}]}})
    space.until("Pod", "it", lambda pod: pod["status"]["containerStatuses"][0].get("resources") == large)

    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert space.run("it", "sh", "-c", f"cat {files} 2>/dev/null || true").strip() == str(48 * 1024 * 1024)
    assert space.get("Pod", "it")["status"]["containerStatuses"][0]["restartCount"] == 0
