"""The resource quota controller: what it counts, and when it believes its own count."""

import asyncio
from datetime import timedelta
from random import Random

import pytest
from make import NOW, a_pod, an_object

from controllers.parts.metadata import metadata_view
from controllers.resource_quota import Ledger, counted_again, resource_quota_controller
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.pod import Pod
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.api.core.secret import Secret
from wherry.client import clock
from wherry.client.plan import CheckAgain, SetStatus
from wherry.client.world import World
from wherry.machinery.errors import Forbidden
from wherry.machinery.quantity import Quantity
from wherry.sim import virtual_time
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import Faults

MAP = metadata_view(ConfigMap.kind)
LATE_AND_LOSSY = Faults(0.05, 0.1, delay_seconds=(0.001, 0.3), cut_watches_after_seconds=10)


def a_quota(hard: dict, used: dict | None = None, **spec: object) -> ResourceQuota:
    status = {"hard": hard, "used": used} if used is not None else {}
    return an_object(ResourceQuota, "q", hard=hard, status=status, **spec)


def planned(quota: ResourceQuota, *objects: object, still: float = 60.0) -> list:
    return list(counted_again(quota, World(quota, *objects), Ledger((Pod, MAP)), still))


def test_a_new_quota_is_told_what_is_there():
    quota = a_quota({"pods": "5", "requests.cpu": "2", "configmaps": "3"})

    plan = planned(quota, a_pod(requests={"cpu": "500m"}), a_pod(), an_object(MAP), an_object(MAP, namespace="other"))

    assert [action.obj.status.to_wire() for action in plan] == [
        {
            "hard": {"pods": "5", "requests.cpu": "2", "configmaps": "3"},
            "used": {"pods": "2", "requests.cpu": "500m", "configmaps": "1"},
        }
    ]


def test_what_is_right_is_left_alone():
    assert planned(a_quota({"pods": "5"}, {"pods": "1"}), a_pod()) == []


def test_what_nobody_can_count_is_not_claimed_to_be_counted():
    [action] = planned(a_quota({"count/robots.example": "5", "count/pods": "5", "cpu": "1"}))

    assert action.obj.status.to_wire()["used"] == {"count/pods": "0", "cpu": "0"}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_takes_nothing_but_its_place_among_objects(phase: str):
    quota = a_quota({"pods": "5", "count/pods": "5", "cpu": "1"})

    [action] = planned(quota, a_pod(phase=phase, requests={"cpu": "1"}))

    assert action.obj.status.to_wire()["used"] == {"pods": "0", "count/pods": "1", "cpu": "0"}


def test_a_charge_that_was_just_made_is_not_taken_back_yet():
    quota = a_quota({"pods": "5", "configmaps": "2"}, {"pods": "2", "configmaps": "0"})

    plan = planned(quota, a_pod(), an_object(MAP), still=0.25)

    assert plan[0] == CheckAgain(0.76)
    assert plan[1].obj.status.to_wire()["used"] == {"pods": "2", "configmaps": "1"}
    assert [action.obj.status.to_wire()["used"] for action in planned(quota, a_pod(), still=2)] == [
        {"pods": "1", "configmaps": "0"}
    ]


def test_what_a_user_wrote_into_the_status_is_set_right():
    quota = a_quota({"pods": "5"}, {"pods": "4", "secrets": "9"})
    quota = quota.with_status(hard={})

    [action] = planned(quota)

    assert action.obj.status.to_wire() == {"hard": {"pods": "5"}, "used": {"pods": "0"}}


def test_a_pod_that_should_be_gone_counts_until_its_grace_is_over():
    quota = a_quota({"pods": "5"}, {"pods": "2"})
    going = {"deletion_grace_seconds": 30}
    fresh = a_pod(deleted=NOW - timedelta(seconds=10))
    fresh = fresh.replace(metadata=fresh.metadata.replace(**going))
    late = a_pod(deleted=NOW - timedelta(seconds=40))
    late = late.replace(metadata=late.metadata.replace(**going))

    plan = planned(quota, fresh, late)

    assert plan[0].obj.status.to_wire()["used"] == {"pods": "1"}
    assert plan[1] == CheckAgain(21)


def test_a_change_of_an_object_or_of_the_scopes_is_seen():
    ledger, pod = Ledger((Pod,)), a_pod("p", requests={"cpu": "1"})
    quota = a_quota({"cpu": "9"})
    assert {name: str(size) for name, size in ledger.total(quota, World(quota, pod)).items()} == {"cpu": "1"}

    more = a_pod("p", requests={"cpu": "2"}, resource_version="2")
    scoped = a_quota({"cpu": "9"}, scopes=["Terminating"])

    assert str(ledger.total(quota, World(quota, more))["cpu"]) == "2"
    assert str(ledger.total(scoped, World(scoped, more))["cpu"]) == "0"


def test_of_many_changes_in_a_row_only_the_first_is_counted_at_once():
    at = [100.0]
    counting = resource_quota_controller((), lambda _: 60.0, lambda: at[0])
    quota = a_quota({"pods": "5"}, {"pods": "0"})
    world = World(quota, a_pod())

    first = list(counting.plan(quota, world))
    at[0] += 0.125
    second = list(counting.plan(quota, world))
    at[0] += second[0].after_seconds
    third = list(counting.plan(quota, world))

    assert first == third == [SetStatus(quota.with_status(hard=quota.spec.hard, used={"pods": Quantity.from_value(1)}))]
    assert second == [CheckAgain(pytest.approx(0.385))]


def test_new_limits_are_told_at_once():
    counting = resource_quota_controller((), lambda _: 60.0, lambda: 100.0)
    before, after = a_quota({"pods": "5"}), a_quota({"pods": "5", "secrets": "1"}, {"pods": "0"}).with_status(hard={})

    plans = [list(counting.plan(quota, World(quota))) for quota in (before, after)]

    assert [[action.obj.status.used for action in plan] for plan in plans] == [
        [{"pods": Quantity()}],
        [{"pods": Quantity(), "secrets": Quantity()}],
    ]


def test_in_a_cluster_a_quota_that_goes_is_taken_off_the_others():
    async def story() -> None:
        async with SimulatedCluster(nodes=0) as cluster:
            hard = {"resourcequotas": "5", "count/resourcequotas": "5"}
            await cluster.admin.create(a_manifest("ResourceQuota", "q", spec={"hard": hard}))
            await cluster.settle()
            await cluster.admin.create(a_manifest("ResourceQuota", "other", spec={"hard": {"pods": "1"}}))
            await cluster.settle()
            assert await used(cluster) == dict.fromkeys(hard, "2")

            await cluster.admin.delete(ResourceQuota, "other", "default")
            await cluster.settle()
            assert await used(cluster) == dict.fromkeys(hard, "1")

    virtual_time.run(story(), seed=4)


def test_in_a_cluster_a_replica_set_fills_its_quota_and_gives_back():
    async def story() -> None:
        async with SimulatedCluster(nodes=1) as cluster:
            identity = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"}}
            await cluster.admin.create({**identity, "spec": {"hard": {"pods": "3", "count/replicasets.apps": "5"}}})
            await cluster.settle()
            container = {"name": "c", "image": "app:1"}
            template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
            spec = {"replicas": 5, "selector": {"matchLabels": {"a": "b"}}, "template": template}
            metadata = {"name": "web", "namespace": "default"}
            await cluster.admin.create(
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
            )
            await asyncio.sleep(30)  # it keeps trying, so there is no rest
            assert await used(cluster) == {"pods": "3", "count/replicasets.apps": "1"}
            assert len((await cluster.admin.list(Pod, "default")).items) == 3

            await cluster.admin.delete(ReplicaSet, "web", "default")
            await cluster.settle()
            assert await used(cluster) == {"pods": "0", "count/replicasets.apps": "0"}

    virtual_time.run(story(), seed=3)


async def used(cluster: SimulatedCluster) -> dict:
    quota = await cluster.admin.get(ResourceQuota, "q", "default")
    return {name: str(size) for name, size in quota.status.used.items()}


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_late_or_is_lost_a_quota_is_never_exceeded_and_ends_up_right(seed: int):
    async def story() -> None:
        async with SimulatedCluster(nodes=0, faults=LATE_AND_LOSSY) as cluster:
            await cluster.admin.create(a_manifest("ResourceQuota", "q", spec={"hard": {"secrets": "6"}}))
            await cluster.settle()
            chance = clock.randomness()
            async with asyncio.TaskGroup() as group:
                for number in range(12):
                    group.create_task(come_and_go(cluster, f"writer-{number}", chance))
            await cluster.settle()
            left = (await cluster.admin.list(Secret, "default")).items
            assert await used(cluster) == {"secrets": str(len(left))}

    virtual_time.run(story(), seed=seed)


async def come_and_go(cluster: SimulatedCluster, name: str, chance: Random) -> None:
    """Make a secret if there is room, look around, take it away again."""
    for _ in range(8):
        await asyncio.sleep(chance.random() * 3)
        try:
            await cluster.admin.create(a_manifest("Secret", name))
        except Forbidden:
            continue
        assert len((await cluster.admin.list(Secret, "default")).items) <= 6
        await asyncio.sleep(chance.random() * 3)
        await cluster.admin.delete(Secret, name, "default")
    await asyncio.sleep(2)


def a_manifest(kind: str, name: str, **fields: object) -> dict:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **fields}
