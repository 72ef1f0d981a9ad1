"""metrics.k8s.io: gathered from kubelets when asked, and said by the pods themselves on hollow nodes."""

import asyncio

import orjson
import pytest

from apiserver.metrics.readings import parse_summary
from tests.apiserver.local_api import CORE, TABLE, Api
from wherry.machinery.errors import InternalError

METRICS = "/apis/metrics.k8s.io/v1beta1"
AT = "2026-01-01T00:00:00Z"


def measured(nano_cores: int, memory_bytes: int) -> dict[str, object]:
    cpu = {"time": AT, "usageNanoCores": nano_cores, "windowSeconds": 12.5}
    return {"cpu": cpu, "memory": {"time": AT, "workingSetBytes": memory_bytes}}


def a_summary(*pods: str) -> bytes:
    containers = [{"name": "app", **measured(250_000_000, 64 * 1024**2)}]
    listed = [{"podRef": {"namespace": "default", "name": name}, "containers": containers} for name in pods]
    return orjson.dumps({"node": {"nodeName": "n1", **measured(500_000_000, 1024**3)}, "pods": listed})


class SpokenFor:
    """Kubelets that say what they are told to, and count how often they are asked."""

    def __init__(self, **summaries: bytes) -> None:
        self.summaries, self.asked = summaries, 0

    async def on(self, name: str) -> "SpokenFor":
        if name not in self.summaries:
            raise InternalError("no way there")
        self.current = self.summaries[name]
        return self

    async def read(self, path: str) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        return self.current

    async def close(self) -> None:
        """Nothing is open."""


async def have_node(api: Api, name: str, runtime: str = "docker://1") -> None:
    await api.made("/api/v1/nodes", {"metadata": {"name": name, "labels": {"zone": "a"}}})
    await api.patch(f"/api/v1/nodes/{name}/status", {"status": {"nodeInfo": {"containerRuntimeVersion": runtime}}})


async def have_pod(api: Api, name: str, node: str, **metadata: object) -> None:
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "app:1"}]}
    spec["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    await api.made(f"{CORE}/pods", {"metadata": {"name": name, **metadata}, "spec": spec})
    running = [{"name": "app", "image": "", "imageID": "", "ready": True, "restartCount": 0, "state": {"running": {}}}]
    await api.patch(f"{CORE}/pods/{name}/status", {"status": {"phase": "Running", "containerStatuses": running}})


@pytest.fixture
async def kubelets(api: Api) -> SpokenFor:
    """One node with two pods, of which one was measured, and a node that does not answer."""
    spoken = SpokenFor(n1=a_summary("web"))
    api.server.kubelets = spoken  # type: ignore[assignment]
    for name in ("n1", "n2"):
        await have_node(api, name)
    await have_pod(api, "web", "n1", labels={"app": "web"})
    await have_pod(api, "new", "n1")
    await have_pod(api, "far", "n2")
    return spoken


async def test_a_node_uses_what_its_kubelet_says(api: Api, kubelets: SpokenFor):
    [node] = (await api.get(f"{METRICS}/nodes")).json["items"]

    node["metadata"].pop("creationTimestamp")
    assert node == {
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "timestamp": AT,
        "window": "12.5s",
        "usage": {"cpu": "500000000n", "memory": "1048576Ki"},
    }


async def test_pods_that_were_not_measured_are_left_out(api: Api, kubelets: SpokenFor):
    answer = (await api.get(f"{METRICS}/pods")).json

    [pod] = answer["items"]
    usage = {"cpu": "250000000n", "memory": "65536Ki"}
    assert (answer["kind"], pod["metadata"]["name"]) == ("PodMetricsList", "web")
    assert pod["containers"] == [{"name": "app", "usage": usage}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"labelSelector": "app=web"}, 1),
        ({"labelSelector": "app=other"}, 0),
        ({"fieldSelector": "spec.nodeName=n1"}, 1),
        ({"fieldSelector": "metadata.name=new"}, 0),
    ],
)
async def test_selectors_are_about_the_pods(api: Api, kubelets: SpokenFor, query: dict[str, str], found: int):
    answer = await api.get(f"{METRICS}/namespaces/default/pods", query=query)

    assert len(answer.json["items"]) == found


async def test_many_who_ask_at_once_are_one_question(api: Api, kubelets: SpokenFor):
    await asyncio.gather(*(api.get(f"{METRICS}/nodes") for _ in range(5)))
    await api.get(f"{METRICS}/pods")

    assert kubelets.asked == 1


async def test_one_pod_by_name(api: Api, kubelets: SpokenFor):
    one = await api.get(f"{METRICS}/namespaces/default/pods/web")
    none = await api.get(f"{METRICS}/namespaces/default/pods/new")

    assert (one.json["kind"], one.json["containers"][0]["name"]) == ("PodMetrics", "app")
    assert none.error == (404, "NotFound", 'podmetrics.metrics.k8s.io "default/new" not found')


async def test_nothing_can_be_written(api: Api, kubelets: SpokenFor):
    answer = await api.delete(f"{METRICS}/nodes/n1")

    assert answer.error[:2] == (405, "MethodNotAllowed")


async def test_a_table_has_the_sum_of_the_containers(api: Api, kubelets: SpokenFor):
    table = (await api.get(f"{METRICS}/pods", headers={"accept": TABLE})).json

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert table["rows"][0]["cells"] == ["web", "250m", "64Mi", "12.5s"]


async def test_pods_on_hollow_nodes_use_what_they_say(api: Api):
    await have_node(api, "h1", "hollow://1")
    await have_pod(api, "quiet", "h1")
    await have_pod(api, "busy", "h1", annotations={"sim.wherry.dev/cpu": "300m", "sim.wherry.dev/memory": "1Gi"})

    pods = (await api.get(f"{METRICS}/pods")).json["items"]
    [node] = (await api.get(f"{METRICS}/nodes")).json["items"]

    assert [pod["containers"][0]["usage"] for pod in pods] == [
        {"cpu": "300000000n", "memory": "1048576Ki"},
        {"cpu": "50000000n", "memory": "8192Ki"},
    ]
    assert node["usage"] == {"cpu": "350000000n", "memory": "1056768Ki"}


async def test_a_viewer_may_read_usage_and_nobody_else(api: Api, kubelets: SpokenFor):
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subjects = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}]
    body = {"metadata": {"name": "ann"}, "roleRef": reference, "subjects": subjects}
    await api.made("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)

    seen = [(await api.get(f"{METRICS}/nodes", user=user, groups=())).status for user in ("ann", "bob")]

    assert seen == [200, 403]


@pytest.mark.parametrize("body", [b"[]", b'{"pods": [{}]}', b"no json"])
def test_what_is_no_summary_is_said_so(body: bytes):
    with pytest.raises(ValueError, match="no summary of a node"):
        parse_summary(body)
