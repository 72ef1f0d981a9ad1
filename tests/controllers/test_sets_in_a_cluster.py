"""StatefulSets and DaemonSets in a whole simulated cluster, where others collect, schedule and evict as well."""

import asyncio
from itertools import pairwise

import pytest
from make import a_daemonset, a_statefulset, a_workload
from test_in_a_cluster import all_of, manifest

from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.hollow_pod import FATE
from wherry.sim.virtual_time import in_virtual_time


async def names(cluster, kind=Pod):
    return [one.metadata.name for one in await all_of(cluster, kind)]


async def change(cluster, kind, name, **spec):
    await cluster.admin.patch(kind, name, "default", {"spec": spec})
    await cluster.settle()


def template(image, fate="ready"):
    metadata = {"labels": {"app": "web"}, "annotations": {FATE: fate}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": image}]}}


@in_virtual_time
async def test_claims_outlive_pods_until_the_set_says_otherwise():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(manifest(a_statefulset("db", replicas=3, claims=["data"])))
        await cluster.settle()
        await change(cluster, StatefulSet, "db", replicas=2)
        kept = await names(cluster, PersistentVolumeClaim)
        policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
        await change(cluster, StatefulSet, "db", persistentVolumeClaimRetentionPolicy=policy)
        await change(cluster, StatefulSet, "db", replicas=1)
        after_scaling = await names(cluster, PersistentVolumeClaim)
        await cluster.admin.delete(StatefulSet, "db", "default")
        await cluster.settle()

        assert kept == ["data-db-0", "data-db-1", "data-db-2"]
        # The third was left by a pod that went under another policy.
        assert after_scaling == ["data-db-0", "data-db-2"]
        assert await names(cluster, PersistentVolumeClaim) == ["data-db-2"]
        assert await names(cluster, ControllerRevision) == []


@in_virtual_time
async def test_no_second_pod_takes_the_name_of_one_on_a_node_that_fell_silent():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(manifest(a_statefulset("db", replicas=2)))
        await cluster.settle()
        before = {pod.metadata.name: pod for pod in await all_of(cluster, Pod)}
        lost = before["db-1"].spec.node_name
        cluster.nodes[lost].kill()
        await asyncio.sleep(1000)
        away = await cluster.admin.get(Pod, "db-1", "default")
        cluster.nodes[lost].start()
        await cluster.settle()

        assert (away.metadata.uid, away.metadata.deleted_at is not None) == (before["db-1"].metadata.uid, True)
        after = await cluster.admin.get(Pod, "db-1", "default")
        assert after.status.ready
        assert after.metadata.uid != away.metadata.uid


@in_virtual_time
async def test_daemons_stay_on_a_silent_node():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.settle()
        await cluster.admin.create(manifest(a_daemonset("agent")))
        await cluster.settle()
        before = await names(cluster)
        cluster.nodes["node-2"].kill()
        await asyncio.sleep(1000)
        staying = [pod.metadata.name for pod in await all_of(cluster, Pod) if pod.metadata.deleted_at is None]

        assert (staying, len(staying)) == (before, 2)


@pytest.mark.parametrize("kind", [StatefulSet, DaemonSet])
def test_who_is_made_anew_adopts_what_the_one_before_left(kind):
    @in_virtual_time
    async def story():
        async with SimulatedCluster(nodes=2) as cluster:
            await cluster.settle()
            body = manifest(a_workload(kind, "set"))
            await cluster.admin.create(body)
            await cluster.settle()
            left = await names(cluster) + await names(cluster, ControllerRevision)
            await cluster.admin.delete(kind, "set", "default", propagation="Orphan")
            await cluster.settle()
            orphans = {pod.metadata.uid: pod.metadata.controller for pod in await all_of(cluster, Pod)}
            await cluster.admin.create(body)
            await cluster.settle()

            assert set(orphans.values()) == {None}
            assert {pod.metadata.uid for pod in await all_of(cluster, Pod)} == set(orphans)
            assert await names(cluster) + await names(cluster, ControllerRevision) == left

    story()


@in_virtual_time
async def test_daemons_follow_the_labels_of_nodes():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.settle()
        spec = {**template("app:1")["spec"], "nodeSelector": {"colour": "blue"}}
        await cluster.admin.create(manifest(a_daemonset("agent", template={**template("app:1"), "spec": spec})))
        await cluster.settle()
        seen = [await names(cluster)]
        for colour in ("blue", "green"):
            await cluster.admin.patch(Node, "node-2", "", {"metadata": {"labels": {"colour": colour}}})
            await cluster.settle()
            seen.append([pod.spec.node_name for pod in await all_of(cluster, Pod)])

        assert seen == [[], ["node-2"], []]


@in_virtual_time
async def test_a_stuck_update_of_daemons_is_undone_without_touching_healthy_ones():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.settle()
        await cluster.admin.create(manifest(a_daemonset("agent", template=template("app:1"))))
        await cluster.settle()
        first = set(await names(cluster))
        await change(cluster, DaemonSet, "agent", template=template("app:2", "no-image"))
        stuck = set(await names(cluster))
        await change(cluster, DaemonSet, "agent", template=template("app:1"))
        after = set(await names(cluster))

        assert len(first & stuck) == 2
        assert first & stuck <= after
        revisions = await all_of(cluster, ControllerRevision)
        assert sorted(revision.revision for revision in revisions) == [2, 3]


@in_virtual_time
async def test_pods_that_a_node_keeps_refusing_are_replaced_ever_more_slowly():
    async with SimulatedCluster(nodes=1) as cluster:
        made = []
        cluster.journal.subscribe(
            lambda write: made.append(write.at) if write.resource == "pods" and write.before is None else None
        )
        await cluster.settle()
        await cluster.admin.create(manifest(a_daemonset("agent", template=template("app:1", "fails"))))
        await asyncio.sleep(600)

        pauses = [after - before for before, after in pairwise(made)]
        assert 6 <= len(pauses) <= 12
        assert all(after >= before for before, after in pairwise(pauses[2:]))
        assert len(await names(cluster)) == 1


@in_virtual_time
async def test_heartbeats_of_nodes_make_no_work():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.admin.create(manifest(a_daemonset("agent")))
        await cluster.admin.create(manifest(a_statefulset("db", replicas=2)))
        await cluster.settle()
        written = []
        cluster.journal.subscribe(lambda write: written.append(write.key) if "controller" in write.actor else None)
        await asyncio.sleep(600)

        assert written == []
