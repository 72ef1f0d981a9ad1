"""A scheduler that lost its lead between two writes leaves the second one to whoever leads now."""

import asyncio

from binding_api import BindingApi
from make import a_node, a_pod, an_object
from scheduling import all_plugins
from test_gang_claims import a_cluster, a_member, given

from scheduler.runner import Scheduler
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.events.event import Event
from wherry.api.storage.storage_class import StorageClass
from wherry.sim.virtual_time import in_virtual_time


class Lead:
    """Held until a write of which the line contains a word."""

    def __init__(self, word):
        self._word, self.is_held = word, True

    async def disturb(self, method, path, perform):
        answer = await perform()
        self.is_held = self.is_held and not (method in ("PATCH", "POST") and self._word in path)
        return answer


async def lived(api, lead):
    scheduler = Scheduler(api.client(), {"default-scheduler": all_plugins()}, may_act=lambda: lead.is_held)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(60)
    task.cancel()
    await asyncio.wait([task])
    return [line for line in api.writes() if any(word in line for word in ("/status", "claims", "events", "DELETE"))]


@in_virtual_time
async def test_the_rest_of_a_claim_is_not_written():
    lead = Lead("resourceclaims")
    api = a_cluster(2, lead.disturb)
    a_member(api, "train", "")

    written = await lived(api, lead)

    assert (len(written), given(api)) == (1, set())


@in_virtual_time
async def test_the_second_claim_on_a_volume_gets_no_node():
    lead = Lead("persistentvolumeclaims")
    api = BindingApi(disturb=lead.disturb)
    fields = {"provisioner": "disks.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
    api.put(an_object(StorageClass, "late", api_version="storage.k8s.io/v1", fields=fields))
    api.put(a_node("n"))
    wants = {"storage_class_name": "late", "access_modes": ["ReadWriteOnce"]}
    for name in ("data", "logs"):
        api.put(an_object(PersistentVolumeClaim, name, resources={"requests": {"storage": "1Gi"}}, **wants))
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("data", "logs")]
    api.put(a_pod("web", volumes=volumes))

    assert [line.split()[1].rsplit("/", 2)[1:] for line in await lived(api, lead)] == [
        ["persistentvolumeclaims", "data"]
    ]


@in_virtual_time
async def test_events_are_not_told():
    lead = Lead("binding")
    api = BindingApi(disturb=lead.disturb)
    api.put(a_node("n"))
    for name in ("web", "db"):
        api.put(a_pod(name))

    assert await lived(api, lead) == []
    assert api.all(Event) == []


@in_virtual_time
async def test_nobody_is_sent_away():
    lead = Lead("urgent/status")
    api = BindingApi(disturb=lead.disturb)
    api.put(a_node("n", cpu="1"))
    api.put(a_pod("low", node="n", phase="Running", requests={"cpu": "1"}))
    api.put(a_pod("urgent", priority=100, requests={"cpu": "1"}))

    written = await lived(api, lead)

    assert {line.split()[1] for line in written} == {"/api/v1/namespaces/default/pods/urgent/status"}
