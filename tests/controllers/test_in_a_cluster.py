"""The controllers that have a shell of their own, against a real API server in virtual time."""

import asyncio

import pytest
from make import a_deployment, a_service, an_object

from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.api.events.event import Event
from wherry.machinery.errors import NotFound
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import in_virtual_time


def manifest(view, **metadata):
    """What a user would send of an object that a builder made."""
    wire = view.to_wire()
    kept = {key: wire["metadata"][key] for key in ("name", "namespace", "labels") if key in wire["metadata"]}
    body = {key: value for key, value in wire.items() if key not in ("metadata", "status")}
    return {"apiVersion": view.kind.api_version, "kind": view.kind.name, "metadata": {**kept, **metadata}, **body}


WEB = manifest(a_deployment("web", replicas=2))


async def all_of(cluster, kind, namespace="default"):
    return (await cluster.admin.list(kind, namespace)).items


async def counts(cluster, *kinds):
    return [len(await all_of(cluster, kind)) for kind in kinds]


@pytest.mark.parametrize(
    ("propagation", "left"), [("Background", [0, 0, 0]), ("Foreground", [0, 0, 0]), ("Orphan", [0, 1, 2])]
)
def test_what_a_deployment_owns_goes_with_it_or_stays_as_asked(propagation, left):
    @in_virtual_time
    async def story():
        async with SimulatedCluster(nodes=1) as cluster:
            await cluster.admin.create(WEB)
            await cluster.settle()
            await cluster.admin.delete(Deployment, "web", "default", propagation=propagation)
            await cluster.settle()
            assert await counts(cluster, Deployment, ReplicaSet, Pod) == left

    story()


@in_virtual_time
async def test_children_of_an_owner_that_was_replaced_while_nobody_looked_go_and_the_new_owners_stay():
    async with SimulatedCluster(nodes=0) as cluster:
        first = await cluster.admin.create(manifest(an_object(ConfigMap, "owner")))
        cluster.controllers.kill()
        await cluster.admin.delete(ConfigMap, "owner", "default")
        second = await cluster.admin.create(manifest(an_object(ConfigMap, "owner")))
        for name, owner in (("old", first), ("new", second)):
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
            await cluster.admin.create(manifest(an_object(ConfigMap, name), ownerReferences=[reference]))
        cluster.controllers.start()
        await cluster.settle()

        names = {config_map.metadata.name for config_map in await all_of(cluster, ConfigMap)}
        assert names == {"owner", "new"}


@in_virtual_time
async def test_a_namespace_is_emptied_pods_first_and_is_gone():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await cluster.settle()
        await cluster.admin.create({**WEB, "metadata": {"name": "web", "namespace": "shop"}})
        await cluster.admin.create(manifest(a_service("web", namespace="shop", cluster_ip="")))
        await cluster.settle()
        assert await all_of(cluster, EndpointSlice, "shop")

        await cluster.admin.delete(Namespace, "shop")
        await cluster.settle()

        with pytest.raises(NotFound):
            await cluster.admin.get(Namespace, "shop")
        left = [obj for kind in (Pod, Deployment, ConfigMap, Event) for obj in await all_of(cluster, kind, "shop")]
        assert left == []


@in_virtual_time
async def test_a_namespace_waits_for_what_somebody_else_must_finish():
    async with SimulatedCluster(nodes=0) as cluster:
        await cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        stuck = manifest(an_object(ConfigMap, "stuck", namespace="shop"), finalizers=["example.com/mine"])
        await cluster.admin.create(stuck)
        await cluster.settle()
        await cluster.admin.delete(Namespace, "shop")
        await asyncio.sleep(30)
        shop = await cluster.admin.get(Namespace, "shop")
        told = {one.type: one.is_true for one in shop.status.conditions}
        assert (told["NamespaceContentRemaining"], told["NamespaceFinalizersRemaining"]) == (True, True)

        await cluster.admin.patch(ConfigMap, "stuck", "shop", {"metadata": {"finalizers": None}})
        await cluster.settle()
        with pytest.raises(NotFound):
            await cluster.admin.get(Namespace, "shop")


@in_virtual_time
async def test_pods_of_a_node_whose_object_is_gone_are_cleared_away():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(WEB)
        await cluster.settle()
        victim = (await all_of(cluster, Pod))[0].spec.node_name
        cluster.nodes[victim].kill()
        await cluster.admin.delete(Node, victim)
        await asyncio.sleep(120)
        await cluster.settle()

        pods = await all_of(cluster, Pod)
        assert {pod.spec.node_name for pod in pods} == set(cluster.nodes) - {victim}
        assert [pod.status.phase for pod in pods] == ["Running"] * 2


@in_virtual_time
async def test_when_all_nodes_fall_silent_nothing_is_evicted_and_all_recover():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.admin.create(WEB)
        await cluster.settle()
        before = [pod.metadata.uid for pod in await all_of(cluster, Pod)]
        for node in cluster.nodes.values():
            node.kill()
        await asyncio.sleep(1000)
        assert [pod.metadata.uid for pod in await all_of(cluster, Pod)] == before

        for node in cluster.nodes.values():
            node.start()
        await asyncio.sleep(60)
        nodes = (await cluster.admin.list(Node)).items
        assert [(node.is_ready, node.spec.taints) for node in nodes] == [(True, ())] * 3


@in_virtual_time
async def test_events_are_forgotten_after_an_hour():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(WEB)
        await cluster.settle()
        assert await all_of(cluster, Event)
        await asyncio.sleep(3600 + 600)

        assert await all_of(cluster, Event) == []
