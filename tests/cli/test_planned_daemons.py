"""`wherry plan` of a DaemonSet: a pod for each node that takes it."""

import pytest
from make import a_node

from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.picture import Picture
from scheduler.framework import load_plugins
from tests.apiserver.local_api import running_api
from tests.kubelet.local_transport import LocalTransport
from wherry.cli.trying import Trial
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection


@pytest.fixture
def daemon():
    container = {"name": "agent", "image": "agent:1", "resources": {"requests": {"cpu": "2"}}}
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [container]}}
    template["spec"]["nodeSelector"] = {"disk": "fast"}
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}


async def test_each_node_that_takes_the_pod_gets_one_if_it_has_room(daemon):
    async with running_api() as api:
        for name, cpu, disk in (("a", "4", "fast"), ("b", "1", "fast"), ("c", "4", "slow")):
            status = a_node(name, cpu=cpu).to_wire()["status"]
            metadata = {"name": name, "labels": {"disk": disk}}
            await api.made("/api/v1/nodes", {"metadata": metadata, "status": status})
            await api.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})
        transport = LocalTransport(api, "admin", ("system:masters",))
        client = Client(Connection("https://api"), user_agent="test", transport=transport)
        rules = {"default-scheduler": [plugin() for plugin in load_plugins().values()]}
        pods = (await Trial([daemon], "default").held(client)).pods
        told = forecast(await Picture.taken(client, rules), pods)

    assert [pod.metadata.name for pod in pods] == ["agent-a", "agent-b"]
    assert (told.verdict, list(told.lines())) == (Verdict.DOES_NOT_FIT, ["1 of 2 pods fit:", "  a: 1"])
