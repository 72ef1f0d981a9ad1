"""A scheduler that lost its lead between two writes leaves the second one to whoever leads now."""

import asyncio

from binding_api import BindingApi
from make import a_node, a_pod
from scheduling import all_plugins
from test_gang_claims import a_cluster, a_member, given

from scheduler.runner import Scheduler
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
    return [line for line in api.writes() if "/status" in line or "resourceclaims" in line or "DELETE" in line]


@in_virtual_time
async def test_the_rest_of_a_claim_is_not_written():
    lead = Lead("resourceclaims")
    api = a_cluster(2, lead.disturb)
    a_member(api, "train", "")

    written = await lived(api, lead)

    assert (len(written), given(api)) == (1, set())


@in_virtual_time
async def test_nobody_is_sent_away():
    lead = Lead("urgent/status")
    api = BindingApi(disturb=lead.disturb)
    api.put(a_node("n", cpu="1"))
    api.put(a_pod("low", node="n", phase="Running", requests={"cpu": "1"}))
    api.put(a_pod("urgent", priority=100, requests={"cpu": "1"}))

    written = await lived(api, lead)

    assert {line.split()[1] for line in written} == {"/api/v1/namespaces/default/pods/urgent/status"}
