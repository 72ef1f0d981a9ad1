"""A binding names a pod's devices, once each; nothing else writes that record."""

import pytest

from apiserver.writing.grants import Grants
from tests.apiserver.local_api import running_api
from tests.kubelet.local_transport import LocalTransport
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import GRANTED, SHARE
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.machinery.errors import Conflict


def a_client(api):
    transport = LocalTransport(api, "admin", ("system:masters",))
    return Client(Connection("https://api"), user_agent="test", transport=transport)


def a_pod(name, **annotations):
    metadata = {"name": name, "namespace": "default", "annotations": {GRANTED: "GPU-9", SHARE: "1/2", **annotations}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }


async def bind(client, name, record, share=""):
    annotations = {GRANTED: record} | ({SHARE: share} if share else {})
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": {"kind": "Node", "name": "n"}}
    await client.request("POST", f"/api/v1/namespaces/default/pods/{name}/binding", body=body)


async def test_a_device_is_granted_to_one_pod_until_that_is_over():
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        for name in ("one", "two", "three"):
            await client.create(a_pod(name))
        await bind(client, "one", "GPU-1,GPU-2")

        with pytest.raises(Conflict, match="device GPU-2 is granted to pod default/one already"):
            await bind(client, "two", "GPU-2")
        await client.patch(Pod, "one", "default", {"status": {"phase": "Succeeded"}}, subresource="status")
        await bind(client, "two", "GPU-2")
        with pytest.raises(Conflict, match="pod default/two already"):
            await bind(client, "three", "GPU-3,GPU-2")
        await client.delete(Pod, "two", "default", grace_seconds=0)
        await bind(client, "three", "GPU-3,GPU-2")


async def test_what_another_server_has_granted_is_known_too():
    async with running_api(now=clock.now) as api:
        client, other = a_client(api), Grants(api.server.cache)
        two = {"namespace": "default", "name": "two", "uid": "2"}
        await client.create(a_pod("one"))
        async with other.exclusive(two, {GRANTED: "GPU-1"}):
            pass
        await bind(client, "one", "GPU-2")

        with pytest.raises(Conflict, match="device GPU-2 is granted to pod default/one already"):
            async with other.exclusive(two, {GRANTED: "GPU-2"}):
                pass


async def test_parts_of_a_card_are_granted_up_to_its_memory_and_only_while_nobody_has_the_whole():
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        for name in ("one", "two", "three", "whole"):
            await client.create(a_pod(name))
        await bind(client, "one", "GPU-1", "30/40")

        with pytest.raises(Conflict, match="device GPU-1 has 10 bytes of memory left, and 20 are to be granted"):
            await bind(client, "two", "GPU-1", "20/40")
        with pytest.raises(Conflict, match="device GPU-1 is granted to pod default/one already"):
            await bind(client, "whole", "GPU-1")
        await bind(client, "two", "GPU-1", "10/40")
        await client.delete(Pod, "one", "default", grace_seconds=0)
        await bind(client, "three", "GPU-1", "30/40")
        await bind(client, "whole", "GPU-2")
        await client.create(a_pod("late"))
        with pytest.raises(Conflict, match="device GPU-2 is granted to pod default/whole already"):
            await bind(client, "late", "GPU-2", "1/40")


async def test_only_a_binding_writes_the_record():
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        await client.create(a_pod("one", other="kept"))
        created = await client.get(Pod, "one", "default")
        await bind(client, "one", "GPU-1")
        edit = {"metadata": {"annotations": {GRANTED: "GPU-7", SHARE: "1/9", "more": "1"}}}
        await client.patch(Pod, "one", "default", edit)
        edited = await client.get(Pod, "one", "default")

    assert created.metadata.annotations == {"other": "kept"}
    assert edited.metadata.annotations == {"other": "kept", GRANTED: "GPU-1", "more": "1"}
