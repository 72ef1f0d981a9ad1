"""The kubelet's readings for those who watch over nodes: who may have them, and what is in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from kubelet.runtime.fake import FakeRuntime
from kubelet.server import Server
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import NodeUnderTest, a_container, a_manifest, a_node
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.serving.access import Access

RBAC = "rbac.authorization.k8s.io"


@asynccontextmanager
async def guarded(node: NodeUnderTest) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the port of a kubelet that asks who it is."""
    assert node.kubelet is not None
    access = Access(Client(Connection("https://api"), user_agent="test", transport=node.way))
    server = Server(node.kubelet, access)
    await server.start("127.0.0.1", 0, None)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.stop()


async def token_of(node: NodeUnderTest, account: str, *subresources: str) -> dict[str, str]:
    """The header by which an account shows itself that may read these of nodes."""
    metadata, role = {"name": account}, {"apiGroup": RBAC, "kind": "ClusterRole", "name": account}
    rule = {"apiGroups": [""], "resources": [f"nodes/{each}" for each in subresources], "verbs": ["get"]}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
    head = {"apiVersion": f"{RBAC}/v1", "metadata": metadata}
    place = {"namespace": "default", **metadata}
    await node.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place})
    await node.admin.create({**head, "kind": "ClusterRole", "rules": [rule]})
    await node.admin.create({**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]})
    path = f"/api/v1/namespaces/default/serviceaccounts/{account}/token"
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = await node.admin.request("POST", path, body=wanted)
    return {"Authorization": f"Bearer {made['status']['token']}"}


async def read(client: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with client.get(path, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_an_account_reads_what_its_role_lets_it(tmp_path: Path):
    async with a_node(tmp_path) as node, guarded(node) as client:
        prometheus, viewer = (
            await token_of(node, "prometheus", "metrics"),
            await token_of(node, "viewer", "pods", "proxy"),
        )

        statuses = {
            path: [(await read(client, path, who))[0] for who in (prometheus, viewer, None)]
            for path in ("/metrics", "/metrics/cadvisor", "/pods", "/configz", "/stats/summary", "/exec/a/b/c")
        }
        forged = await read(client, "/metrics", {"Authorization": "Bearer nonsense"})
        refused = await read(client, "/pods", prometheus)

    assert statuses == {
        "/metrics": [200, 403, 401],
        "/metrics/cadvisor": [200, 403, 401],
        "/pods": [403, 200, 401],
        "/configz": [403, 200, 401],
        "/stats/summary": [403, 403, 401],
        "/exec/a/b/c": [403, 400, 401],
    }
    assert forged == (401, "Unauthorized")
    user = "system:serviceaccount:default:prometheus"
    assert refused == (403, f"Forbidden (user={user}, verb=get, resource=nodes, subresource(s)=[pods proxy])\n")


async def test_the_readings_tell_of_the_node_its_pods_and_their_probes(tmp_path: Path):
    runtime = FakeRuntime(clock.now, images=(TEST_IMAGE,))
    probe: dict[str, Any] = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    limits = {"limits": {"cpu": "250m", "memory": "64Mi"}}
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web", a_container(readinessProbe=probe, resources=limits)))
        await node.until("web", lambda pod: pod.status.ready)
        assert node.kubelet is not None
        server = Server(node.kubelet)
        await server.start("127.0.0.1", 0, None)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
            of_kubelet, probes, containers = [
                (await read(client, f"/metrics{path}"))[1] for path in ("", "/probes", "/cadvisor")
            ]
            config, listed, running = [
                await (await client.get(path)).json() for path in ("/configz", "/pods", "/runningpods/")
            ]
        await server.stop()

    assert 'kubelet_node_name{node="n1"} 1.0' in of_kubelet
    assert "kubelet_running_pods 1.0" in of_kubelet
    assert 'kubelet_running_containers{container_state="running"} 1.0' in of_kubelet
    assert 'prober_probe_total{container="app",namespace="default",pod="web",' in probes
    assert 'prober_probe_duration_seconds_bucket{container="app",le="+Inf",' in probes
    assert 'container_cpu_usage_seconds_total{container="app",cpu="total",id="/kubepods/pod' in containers
    assert "container_spec_cpu_quota{" in containers
    assert "} 25000.0\n" in containers
    assert config["kubeletconfig"]["maxPods"] == 110
    assert [pod["spec"]["containers"][0]["name"] for pod in listed["items"]] == ["app"]
    assert [pod["metadata"]["name"] for pod in running["items"]] == ["web"]
