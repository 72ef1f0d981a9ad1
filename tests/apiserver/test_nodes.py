"""What a stolen node credential is good for: nothing beyond the node and its pods."""

from typing import Any

import pytest

from tests.apiserver.local_api import CORE, MERGE, Api
from tests.apiserver.test_deleting import PODS, a_pod

NODES = "/api/v1/nodes"
TOKEN = f"{CORE}/serviceaccounts/robot/token"
AS_N1 = {"user": "system:node:n1", "groups": ("system:nodes",)}


async def two_nodes(api: Api) -> None:
    """A node each with a pod; the pod `own` on n1 mounts the secret `mine`."""
    for name in ("n1", "n2"):
        await api.made(NODES, {"metadata": {"name": name}})
    for name in ("mine", "other"):
        await api.made(f"{CORE}/secrets", {"metadata": {"name": name}})
    volume = {"name": "v", "secret": {"secretName": "mine"}}
    await api.made(PODS, a_pod("own", nodeName="n1", volumes=[volume]))
    await api.made(PODS, a_pod("foreign", nodeName="n2"))


async def two_robots(api: Api) -> list[Any]:
    """One account, and a pod on each node that runs with it."""
    await two_nodes(api)
    await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
    pods = [a_pod(f"{node}-robot", nodeName=node, serviceAccountName="robot") for node in ("n1", "n2")]
    return [await api.made(PODS, pod) for pod in pods]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/secrets", None, 403),
        ("GET", f"{CORE}/secrets/other", None, 403),
        ("GET", f"{CORE}/secrets/mine", None, 200),
        ("POST", NODES, {"metadata": {"name": "n1"}}, 409),
        ("POST", NODES, {"metadata": {"name": "n3"}}, 403),
        ("PATCH", f"{NODES}/n2/status", {"status": {}}, 403),
        ("PATCH", f"{NODES}/n1", {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "1"}}}, 403),
        ("PATCH", f"{NODES}/n1", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, 403),
        ("PATCH", f"{PODS}/foreign/status", {"status": {"phase": "Running"}}, 403),
        ("PATCH", f"{PODS}/own/status", {"status": {"phase": "Running"}}, 200),
        ("POST", PODS, a_pod("via-node", nodeName="n1"), 403),
        ("POST", f"{CORE}/serviceaccounts/default/token", {"spec": {}}, 403),
        ("POST", f"{PODS}/foreign/eviction", {}, 403),
        ("DELETE", f"{PODS}/foreign", None, 403),
        ("DELETE", f"{NODES}/n1", None, 403),
        ("GET", "/api/v1/pods", None, 403),
        ("POST", f"{CORE}/configmaps", {"metadata": {"name": "a"}}, 403),
    ],
)
async def test_a_node_reaches_its_own_and_nothing_else(api: Api, method: str, path: str, body: object, status: int):
    await two_nodes(api)

    answer = await api.request(
        method, path, body, headers={"content-type": MERGE if method == "PATCH" else ""}, **AS_N1
    )

    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("bound_to", "why"),
    [
        (None, "node requested token not bound to a pod"),
        ({"kind": "Secret", "name": "mine"}, "node requested token not bound to a pod"),
        ({"kind": "Pod", "name": "n1-robot"}, "node requested token with a pod binding without a uid"),
        ({"kind": "Pod", "name": "n2-robot", "uid": ""}, "node requested token with a pod binding without a uid"),
    ],
)
async def test_a_node_gets_no_token_without_a_pod_for_it(api: Api, bound_to: dict[str, str] | None, why: str):
    await two_robots(api)
    spec = {"boundObjectRef": {"apiVersion": "v1", **bound_to} if bound_to else None}

    answer = await api.post(TOKEN, {"spec": spec}, **AS_N1)

    assert (answer.status, answer.json["message"]) == (403, f'serviceaccounts "robot" is forbidden: {why}')


async def test_a_node_gets_tokens_for_its_own_pods_only(api: Api):
    pods = await two_robots(api)
    references = [
        {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        for pod in pods
    ]

    own, foreign = [await api.post(TOKEN, {"spec": {"boundObjectRef": each}}, **AS_N1) for each in references]

    assert (own.status, foreign.status) == (201, 403)
    assert foreign.json["message"].endswith("node requested token bound to a pod scheduled on a different node")


async def test_whoever_makes_a_node_says_how_it_is(api: Api):
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": None, "lastHeartbeatTime": None}

    node = await api.made(NODES, {"metadata": {"name": "n1"}, "status": {"phase": "Running", "conditions": [ready]}})

    assert node["status"]["phase"] == "Running"
    assert [(each["type"], each["status"]) for each in node["status"]["conditions"]] == [("Ready", "True")]
