"""Controllers that are about all kinds learn custom ones while they run; in virtual time, against a real API server."""

import pytest

from tests.apiserver.custom_kinds import a_definition, a_widget
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.namespace import Namespace
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.machinery.errors import ApiError, Forbidden, NotFound
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import in_virtual_time

WIDGETS = "/apis/example.com/v1/namespaces/{}/widgets"


async def declare(cluster):
    await cluster.admin.create(a_definition())
    await cluster.settle()


async def make(cluster, name, namespace="default", **metadata):
    widget = a_widget(name)
    widget["metadata"] |= {"namespace": namespace, **metadata}
    return await cluster.admin.create(widget)


async def widgets(cluster, namespace="default"):
    listed = await cluster.admin.request("GET", WIDGETS.format(namespace))
    return [each["metadata"]["name"] for each in listed["items"]]


def owned_by(owner):
    named = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"ownerReferences": [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], **named}]}


@in_virtual_time
async def test_what_belongs_to_a_custom_object_goes_with_it():
    async with SimulatedCluster(nodes=0) as cluster:
        await declare(cluster)
        parent = await make(cluster, "parent")
        await make(cluster, "child", **owned_by(parent))
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "namespace": "default"}}
        child["metadata"] |= owned_by(parent)
        await cluster.admin.create(child)
        await cluster.settle()

        await cluster.admin.request("DELETE", WIDGETS.format("default") + "/parent")
        await cluster.settle()

        assert await widgets(cluster) == []
        with pytest.raises(NotFound):
            await cluster.admin.get(ConfigMap, "child", "default")


@in_virtual_time
async def test_a_namespace_takes_its_custom_objects_along():
    async with SimulatedCluster(nodes=0) as cluster:
        await declare(cluster)
        await cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await make(cluster, "a", "shop")
        await make(cluster, "b")

        await cluster.admin.delete(Namespace, "shop")
        await cluster.settle()

        assert (await widgets(cluster), await widgets(cluster, "shop")) == (["b"], [])
        with pytest.raises(NotFound):
            await cluster.admin.get(Namespace, "shop")


@in_virtual_time
async def test_a_quota_counts_custom_objects():
    async with SimulatedCluster(nodes=0) as cluster:
        await declare(cluster)
        await make(cluster, "a")
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"}}
        await cluster.admin.create({**quota, "spec": {"hard": {"count/widgets.example.com": "2"}}})
        await cluster.settle()
        await make(cluster, "b")
        with pytest.raises(Forbidden):
            await make(cluster, "c")

        await cluster.admin.request("DELETE", WIDGETS.format("default") + "/b")
        await cluster.settle()
        await make(cluster, "c")
        await cluster.settle()

        told = await cluster.admin.get(ResourceQuota, "q", "default")
        assert {name: str(amount) for name, amount in told.status.used.items()} == {"count/widgets.example.com": "2"}


@in_virtual_time
async def test_a_kind_that_is_gone_troubles_nobody():
    async with SimulatedCluster(nodes=0) as cluster:
        await declare(cluster)
        parent = await make(cluster, "parent")
        metadata = {"name": "child", "namespace": "default", **owned_by(parent)}
        await cluster.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"

        await cluster.admin.request("DELETE", definitions)
        await cluster.settle()

        with pytest.raises(ApiError):
            await widgets(cluster)
        with pytest.raises(NotFound):
            await cluster.admin.get(ConfigMap, "child", "default")
