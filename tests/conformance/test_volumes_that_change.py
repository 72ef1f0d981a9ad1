"""Volumes follow what they show: edited, late and deleted ConfigMaps and Secrets, labels and annotations of the pod."""

from typing import Any

import pytest
from live_api import Space, eventually
from live_pods import a_container, a_live_pod, is_ready

Object = dict[str, Any]
KINDS = {"ConfigMap": "data", "Secret": "stringData"}
FIELDS = [{"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in ("labels", "annotations")]


def source(kind: str, name: str) -> Object:
    """A source of a projected volume; it need not exist."""
    return {kind[0].lower() + kind[1:]: {"name": name, "optional": True}}


def plain(kind: str, name: str) -> Object:
    """A volume of its own; it need not exist."""
    where = {"configMap": {"name": name}} if kind == "ConfigMap" else {"secret": {"secretName": name}}
    return {key: value | {"optional": True} for key, value in where.items()}


def volumes() -> dict[str, Object]:
    """Per kind: one that is edited, one that comes late, one that goes; each plain and projected."""
    found = {"fields": {"downwardAPI": {"items": FIELDS}}}
    found["projected-fields"] = {"projected": {"sources": [{"downwardAPI": {"items": FIELDS}}]}}
    for kind in KINDS:
        for fate in ("edited", "late", "gone"):
            name = f"{kind.lower()}-{fate}"
            found[name] = plain(kind, fate)
            found[f"projected-{name}"] = {"projected": {"sources": [source(kind, fate)]}}
    return found


@pytest.fixture(scope="module")
def watching(shared) -> Space:
    """A pod that mounts them all, after which everything has changed."""
    for kind, data in KINDS.items():
        for name in ("edited", "gone"):
            shared.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, data: {"key": "before"}})
    mounts = [{"name": name, "mountPath": f"/v/{name}"} for name in volumes()]
    listed = [{"name": name, **volume} for name, volume in volumes().items()]
    shared.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=listed, labels={"colour": "blue"}))
    shared.until("Pod", "it", is_ready)
    shared.run("it", "cat", "/v/configmap-edited/key")
    for kind, data in KINDS.items():
        shared.patch(kind, "edited", {data: {"key": "after"}}, "merge")
        shared.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "late"}, data: {"key": "arrived"}})
        shared.delete(kind, "gone")
    shared.patch("Pod", "it", {"metadata": {"labels": {"colour": "red"}, "annotations": {"builder": "bar"}}})
    return shared


def read(space: Space, file: str) -> str:
    return space.run("it", "cat", f"/v/{file}")


@pytest.mark.parametrize("volume", [name for name in volumes() if not name.endswith("fields")])
def test_a_volume_follows_its_source(watching, volume):
    if volume.endswith("gone"):
        eventually(lambda: "No such file" in read(watching, f"{volume}/key"), 90)
    else:
        expected = "after" if volume.endswith("edited") else "arrived"
        eventually(lambda: read(watching, f"{volume}/key") == expected, 90)


@pytest.mark.parametrize("volume", ["fields", "projected-fields"])
def test_a_volume_follows_the_pods_own_labels_and_annotations(watching, volume):
    eventually(lambda: 'colour="red"' in read(watching, f"{volume}/labels"), 90)
    eventually(lambda: 'builder="bar"' in read(watching, f"{volume}/annotations"), 90)


def test_what_is_immutable_is_still_mounted(space):
    metadata = {"name": "fixed"}
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "x"}, "immutable": True}
    )
    mounts = [{"name": "v", "mountPath": "/v"}]
    volume = {"name": "v", "configMap": {"name": "fixed"}}
    space.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=[volume]))

    space.until("Pod", "it", is_ready)

    assert read(space, "key") == "x"


def test_a_secret_of_another_namespace_is_not_used(space, new_space):
    other = new_space("conf-other")
    for where, text in ((space, "mine"), (other, "theirs")):
        where.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "same"}, "stringData": {"key": text}})
    mounts = [{"name": "v", "mountPath": "/v"}]
    volume = {"name": "v", "secret": {"secretName": "same"}}
    space.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=[volume]))

    space.until("Pod", "it", is_ready)

    assert read(space, "key") == "mine"
    other.delete("Namespace", other.namespace)


def test_a_pod_waits_for_what_it_cannot_do_without(space):
    volume = {"name": "v", "configMap": {"name": "late"}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    space.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=[volume]))
    space.until("Pod", "it", lambda pod: pod["status"].get("containerStatuses"))

    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"key": "x"}})

    space.until("Pod", "it", is_ready, 90)


@pytest.mark.parametrize("expression", ["/absolute", "..$(NAME)", "$(MISSING)", "`pwd`/$(NAME)"])
def test_a_bad_sub_path_keeps_a_container_from_starting(space, expression):
    env = [{"name": "NAME", "value": "/x"}]
    mounts = [{"name": "v", "mountPath": "/v", "subPathExpr": f"{expression}"}]
    pod = a_live_pod("it", a_container("main", env=env, volumeMounts=mounts), volumes=[{"name": "v", "emptyDir": {}}])
    if expression.startswith("/"):
        mounts[0]["subPathExpr"] = "$(NAME)"
    space.create(pod)

    if expression.startswith("`"):
        space.until("Pod", "it", is_ready)  # the shell's business, not ours: a folder of that name
    else:
        space.until("Pod", "it", lambda pod: waits_for(pod) == "CreateContainerConfigError")


def test_a_container_starts_once_its_sub_path_is_good(space):
    env = [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['path']"}}}]
    mounts = [{"name": "v", "mountPath": "/v", "subPathExpr": "$(NAME)"}]
    pod = a_live_pod("it", a_container("main", env=env, volumeMounts=mounts), volumes=[{"name": "v", "emptyDir": {}}])
    space.create(pod | {"metadata": {"name": "it", "annotations": {"path": "/absolute"}}})
    space.until("Pod", "it", lambda pod: waits_for(pod) == "CreateContainerConfigError")

    space.patch("Pod", "it", {"metadata": {"annotations": {"path": "mine"}}})

    space.until("Pod", "it", is_ready, 90)


def waits_for(pod: Object) -> str:
    statuses = pod["status"].get("containerStatuses", [{}])
    return str(statuses[0].get("state", {}).get("waiting", {}).get("reason"))


def test_pods_with_many_volumes_start(space):
    names = [f"it-{number}" for number in range(20)]
    for name in names:
        space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": name}})
    mounts = [{"name": name, "mountPath": f"/v/{name}"} for name in names]
    listed = [{"name": name, "configMap": {"name": name}} for name in names]
    space.create(a_live_pod("it", a_container("main", volumeMounts=mounts), volumes=listed))

    space.until("Pod", "it", is_ready)

    assert space.run("it", "sh", "-c", "cat /v/*/key") == "".join(sorted(names))
