"""ConfigMap, Secret, projected and downwardAPI volumes: what files say, whose they are and who may read them.

A pod per user mounts all its volumes and prints what it finds; each test looks at one of them.
"""

from typing import Any, NamedTuple

import pytest
from live_pods import a_container, a_live_pod, is_over

USERS: dict[str, dict[str, Any]] = {
    "root": {},
    "uid 1000": {"securityContext": {"runAsUser": 1000}},
    "uid 1000 of group 1001": {"securityContext": {"runAsUser": 1000, "fsGroup": 1001}},
}
SHOW = "echo $(stat -L -c %a {file}) $(cat {file})"


class Row(NamedTuple):
    """What a volume should look like to a user."""

    says: str
    volume: dict[str, Any]
    expected: str
    file: str = "data-1"
    user: str = "root"
    script: str = SHOW


def config_map(**fields: Any) -> dict[str, Any]:
    return {"configMap": {"name": "settings", **fields}}


def secret(**fields: Any) -> dict[str, Any]:
    return {"secret": {"secretName": "keys", **fields}}


def projected(*sources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"projected": {"sources": list(sources), **fields}}


def fields_of(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"downwardAPI": {"items": list(items), **fields}}


def field(path: str, place: str, **more: Any) -> dict[str, Any]:
    return {"path": place, "fieldRef": {"fieldPath": path}, **more}


def resource(name: str, place: str, container: str = "main", **more: Any) -> dict[str, Any]:
    return {"path": place, "resourceFieldRef": {"containerName": container, "resource": name, **more}}


MAPPED = [{"key": "data-1", "path": "path/to/it"}]
MAPPED_0400 = [{"key": "data-1", "path": "path/to/it", "mode": 0o400}]
KEYS = {"secret": {"name": "keys"}}
SETTINGS = {"configMap": {"name": "settings"}}
NAME = field("metadata.name", "name")
BINARY = "od -An -tx1 {file} | tr -d ' '"
COUNT = "ls {folder} | sort | tr '\\n' ' '"
DENIED = "cat {file} >/dev/null 2>&1 && echo open || echo closed"

ROWS = [
    Row("config map", config_map(), "644 value-1"),
    Row("config map, user", config_map(), "644 value-1", user="uid 1000"),
    Row("config map, default mode", config_map(defaultMode=0o400), "400 value-1"),
    Row("config map, default mode and group", config_map(defaultMode=0o440), "440 value-1", user=[*USERS][2]),
    Row("config map, mapped", config_map(items=MAPPED), "644 value-1", "path/to/it"),
    Row("config map, mapped with a mode", config_map(items=MAPPED_0400), "400 value-1", "path/to/it"),
    Row("config map, mapped, user", config_map(items=MAPPED), "644 value-1", "path/to/it", "uid 1000"),
    Row("config map, mounted again", config_map(), "644 value-1"),
    Row("config map, binary", config_map(), "dbbe01", "blob", script=BINARY),
    Row("config map, only what is asked for", config_map(items=MAPPED), "path", ".", script=COUNT),
    Row("secret", secret(), "644 value-1"),
    Row("secret, default mode", secret(defaultMode=0o400), "400 value-1"),
    Row("secret, group", secret(defaultMode=0o440), "440 value-1", user=[*USERS][2]),
    Row("secret, mapped", secret(items=MAPPED), "644 value-1", "path/to/it"),
    Row("secret, mapped with a mode", secret(items=MAPPED_0400), "400 value-1", "path/to/it"),
    Row("secret, mounted again", secret(), "644 value-1"),
    Row("secret, closed to others", secret(defaultMode=0o400), "closed", user="uid 1000", script=DENIED),
    Row("projected config map", projected(SETTINGS), "644 value-1"),
    Row("projected config map, default mode", projected(SETTINGS, defaultMode=0o400), "400 value-1"),
    Row(
        "projected config map, mapped",
        projected({"configMap": {"name": "settings", "items": MAPPED}}),
        "644 value-1",
        "path/to/it",
    ),
    Row(
        "projected config map, item mode",
        projected({"configMap": {"name": "settings", "items": MAPPED_0400}}),
        "400 value-1",
        "path/to/it",
    ),
    Row(
        "projected config map, user",
        projected({"configMap": {"name": "settings", "items": MAPPED}}),
        "644 value-1",
        "path/to/it",
        "uid 1000",
    ),
    Row("projected config map, again", projected(SETTINGS), "644 value-1"),
    Row("projected secret, group", projected(KEYS, defaultMode=0o440), "440 value-1", user=[*USERS][2]),
    Row("projected secret, default mode", projected(KEYS, defaultMode=0o400), "400 value-1"),
    Row(
        "projected secret, mapped",
        projected({"secret": {"name": "keys", "items": MAPPED}}),
        "644 value-1",
        "path/to/it",
    ),
    Row(
        "projected secret, item mode",
        projected({"secret": {"name": "keys", "items": MAPPED_0400}}),
        "400 value-1",
        "path/to/it",
    ),
    Row(
        "all in one",
        projected(
            {"secret": {"name": "keys", "items": [{"key": "data-1", "path": "secret"}]}},
            {"configMap": {"name": "settings", "items": [{"key": "data-1", "path": "settings"}]}},
            {"downwardAPI": {"items": [NAME]}},
        ),
        "name secret settings",
        ".",
        script=COUNT,
    ),
    *(
        row
        for says, wrap in (("", fields_of), ("projected ", lambda *i, **f: projected(fields_of(*i), **f)))
        for row in (
            Row(f"{says}pod name", wrap(NAME), "644 pod-0", "name"),
            Row(f"{says}fields, default mode", wrap(NAME, defaultMode=0o400), "400 pod-0", "name"),
            Row(
                f"{says}fields, item mode",
                wrap(field("metadata.name", "name", mode=0o400)),
                "400 pod-0",
                "name",
            ),
            Row(f"{says}name, user and group", wrap(NAME, defaultMode=0o440), "440 pod-2", "name", [*USERS][2]),
            Row(f"{says}cpu limit", wrap(resource("limits.cpu", "cpu")), "644 2", "cpu"),
            Row(
                f"{says}cpu request",
                wrap(resource("requests.cpu", "cpu", divisor="1m")),
                "644 250",
                "cpu",
            ),
            Row(f"{says}memory limit", wrap(resource("limits.memory", "m")), "644 67108864", "m"),
            Row(
                f"{says}memory request",
                wrap(resource("requests.memory", "m", divisor="1Mi")),
                "644 32",
                "m",
            ),
            Row(f"{says}cpu of node", wrap(resource("limits.cpu", "c", "free")), "644 {cpu}", "c"),
            Row(f"{says}memory of node", wrap(resource("limits.memory", "m", "free")), "644 {memory}", "m"),
        )
    ),
]
LIMITS = {"limits": {"cpu": "2", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}


def pod_of(index: int, user: str) -> dict[str, Any]:
    """A pod of a user that prints, for each row, its number and what is seen."""
    rows = [(number, row) for number, row in enumerate(ROWS) if row.user == user]
    script = "\n".join(
        f"echo {number} $({row.script.format(file=f'/v/{number}/{row.file}', folder=f'/v/{number}')})"
        for number, row in rows
    )
    mounts = [{"name": f"v{number}", "mountPath": f"/v/{number}"} for number, _ in rows]
    main = a_container("main", script, volumeMounts=mounts, resources=LIMITS)
    volumes = [{"name": f"v{number}", **row.volume} for number, row in rows]
    return a_live_pod(f"pod-{index}", main, a_container("free", "true"), volumes=volumes, **USERS[user])


@pytest.fixture(scope="module")
def seen(shared) -> dict[int, str]:
    """What the pods printed, by number of row."""
    data = {"data-1": "value-1", "data-2": "value-2"}
    blob = {"blob": "274B"}
    shared.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data, "binaryData": blob}
    )
    shared.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": data})
    for index, user in enumerate(USERS):
        shared.create(pod_of(index, user))
    found = {}
    for index in range(len(USERS)):
        shared.until("Pod", f"pod-{index}", is_over)
        for line in shared.logs(f"pod-{index}", container="main").splitlines():
            number, _, text = line.partition(" ")
            found[int(number)] = text
    return found


@pytest.fixture(scope="module")
def allocatable(shared) -> dict[str, int]:
    from wherry.machinery.quantity import value

    [node] = shared.all("Node")
    free = node["status"]["allocatable"]
    return {"cpu": int(free["cpu"]), "memory": value(free["memory"])}


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.says for row in ROWS])
def test_a_volume_looks_as_it_should(seen, allocatable, number):
    assert seen[number] == ROWS[number].expected.format(**allocatable)
