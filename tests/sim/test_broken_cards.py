"""A card that breaks is taken out alone, and comes back by itself."""

from dataclasses import replace

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import fake_gpus, granted_to
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.hollow_node import HollowMachine, HollowNode
from wherry.sim.virtual_time import in_virtual_time

CARDS = fake_gpus("n", 3)
BROKEN = (replace(CARDS[0], trouble="lost"), *CARDS[1:])


def a_gpu_pod(name):
    container = {"name": "main", "image": "train", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


async def holders(cluster):
    pods = (await cluster.admin.list(Pod)).items
    return {pod.metadata.name: granted_to(pod) for pod in pods if pod.spec.node_name}


@in_virtual_time
async def test_whoever_has_a_broken_card_keeps_it_and_the_others_go_to_others():
    async with SimulatedCluster(nodes=0) as cluster:
        node = None

        async def be_a_node(client):
            nonlocal node
            node = HollowNode(client, "n", HollowMachine(7, gpus=CARDS))
            await node.run()

        part = cluster.part("system:node:n", be_a_node, "system:nodes")
        part.start()
        await cluster.settle()
        await cluster.admin.create(a_gpu_pod("first"))
        await cluster.settle()
        await node.become(HollowMachine(7, gpus=BROKEN))
        await cluster.settle()
        for name in ("second", "third"):
            await cluster.admin.create(a_gpu_pod(name))
        await cluster.settle()
        await cluster.admin.delete(Pod, "first", "default")
        await cluster.admin.create(a_gpu_pod("fourth"))
        await cluster.settle()

        others = {"second": ("GPU-n-1",), "third": ("GPU-n-2",)}
        while_broken = await holders(cluster)
        await node.become(HollowMachine(7, gpus=CARDS))
        await cluster.settle()
        in_the_end = await holders(cluster)
        part.kill()

    assert while_broken == others
    assert in_the_end == others | {"fourth": ("GPU-n-0",)}
