"""What a stolen node credential is good for: nothing beyond the node and its pods."""

import pytest

from tests.apiserver.local_api import CORE, MERGE, Api
from tests.apiserver.test_deleting import PODS, a_pod

NODES = "/api/v1/nodes"
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


async def test_whoever_makes_a_node_says_how_it_is(api: Api):
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": None, "lastHeartbeatTime": None}

    node = await api.made(NODES, {"metadata": {"name": "n1"}, "status": {"phase": "Running", "conditions": [ready]}})

    assert node["status"]["phase"] == "Running"
    assert [(each["type"], each["status"]) for each in node["status"]["conditions"]] == [("Ready", "True")]
