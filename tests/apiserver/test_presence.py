"""An API server says that it is there, by a Lease of its own that it renews."""

import asyncio
from datetime import timedelta

from apiserver.presence import Presence
from tests.apiserver.local_api import Api, running_api
from tests.apiserver.test_own_service import seen
from wherry.sim.virtual_time import EPOCH

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


async def test_it_renews_its_lease_and_makes_another_one_when_it_is_gone():
    times = [EPOCH]
    async with running_api(now=lambda: times[-1]) as api:
        presence = Presence(api.server)
        path = f"{LEASES}/{presence.name}"
        await presence.renew()
        first = await seen(api, path)
        times.append(EPOCH + timedelta(seconds=10))
        await presence.renew()
        renewed = await seen(api, path)
        await api.request("DELETE", path)
        await presence.renew()

        assert first["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
        assert renewed["spec"] == {**first["spec"], "renewTime": "2026-01-01T00:00:10.000000Z"}
        assert await seen(api, path) == renewed


async def test_the_label_says_what_it_is_a_lease_of():
    async with running_api(hostname="a-machine") as api:
        lease = await named_by_label(api)

    labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": "a-machine"}
    assert lease["metadata"]["labels"] == labels
    assert lease["spec"]["holderIdentity"].startswith(f"{lease['metadata']['name']}_")


async def test_of_a_long_name_the_label_has_as_much_as_labels_may_have():
    async with running_api(hostname=62 * "a" + ".example.org") as api:
        lease = await named_by_label(api)

    assert lease["metadata"]["labels"]["kubernetes.io/hostname"] == 62 * "a"


async def named_by_label(api: Api) -> dict:
    query = {"labelSelector": "apiserver.kubernetes.io/identity=kube-apiserver"}
    found: list[dict] = []
    while not found:
        await asyncio.sleep(0)
        found = (await api.get(LEASES, query=query)).json["items"]
    return found[0]
