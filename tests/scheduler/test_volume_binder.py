"""A pod waits for its claims to be bound, and no longer once that cannot happen any more."""

import asyncio

import pytest
from binding_api import BindingApi
from make import a_node, a_pod, an_object
from scheduling import all_plugins

from scheduler.runner import Scheduler
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.api.storage.storage_class import StorageClass
from wherry.sim.virtual_time import in_virtual_time

SELECTED = "volume.kubernetes.io/selected-node"
VOLUMES = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]


def a_claim(**more):
    more = {"storage_class_name": "late", "access_modes": ["ReadWriteOnce"], **more}
    return an_object(PersistentVolumeClaim, "data", resources={"requests": {"storage": "1Gi"}}, **more)


async def waiting_on(api, *nodes):
    """A pod has a node chosen, written into its claim, and waits for the volume."""
    fields = {"provisioner": "disks.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
    api.put(an_object(StorageClass, "late", api_version="storage.k8s.io/v1", fields=fields))
    for name in nodes:
        api.put(a_node(name))
    api.put(a_claim())
    api.put(a_pod("web", volumes=VOLUMES))
    scheduler = Scheduler(api.client(), {"default-scheduler": all_plugins()})
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(2)
    return task


async def ended(task):
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


def selected(api):
    return [claim.metadata.annotations.get(SELECTED) for claim in api.all(PersistentVolumeClaim)]


def refusals(api):
    return {event.message for event in api.all(Event) if event.reason == "FailedScheduling"}


@in_virtual_time
@pytest.mark.parametrize("lag", [0.0, 1.0])
async def test_a_pod_whose_claim_is_not_bound_yet_keeps_its_node(lag):
    api = BindingApi()
    api.lag_seconds = lag
    task = await waiting_on(api, "n")

    await asyncio.sleep(60)
    api.put(a_claim(volume_name="v", annotations={SELECTED: "n", "pv.kubernetes.io/bind-completed": "yes"}))
    await asyncio.sleep(3)
    await ended(task)

    assert refusals(api) == set()
    assert [pod.spec.node_name for pod in api.all(Pod)] == ["n"]


@in_virtual_time
async def test_a_node_taken_out_of_the_claim_is_chosen_anew():
    api = BindingApi()
    task = await waiting_on(api, "n")

    api.put(a_claim())
    await asyncio.sleep(15)
    await ended(task)

    (message,) = refusals(api)
    assert 'the node "n" is no longer selected for persistentvolumeclaim "data"' in message
    assert selected(api) == ["n"]


@in_virtual_time
async def test_a_claim_that_goes_keeps_its_pod_no_longer():
    api = BindingApi()
    task = await waiting_on(api, "n")

    api.put(a_claim(deleted=True, finalizers=["example.com/held"], annotations={SELECTED: "n"}))
    await asyncio.sleep(15)
    told = refusals(api)
    await ended(task)

    assert any('persistentvolumeclaim "data" is being deleted' in message for message in told)


@in_virtual_time
async def test_a_claim_that_is_gone_keeps_its_pod_no_longer():
    api = BindingApi()
    task = await waiting_on(api, "n")

    await api.client().delete(PersistentVolumeClaim, "data", "default")
    await asyncio.sleep(15)
    told = refusals(api)
    await ended(task)

    assert any('persistentvolumeclaim "data" not found' in message for message in told)
