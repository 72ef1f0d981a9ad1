"""Only marked namespaces look at devices that others have; taints of devices get their time."""

import pytest

from tests.apiserver.local_api import APPLY, running_api
from tests.apiserver.test_device_grants import a_client
from wherry.api.core.namespace import Namespace
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client import clock
from wherry.machinery.errors import Invalid

V1 = "resource.k8s.io/v1"
MARK = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
FORBIDDEN = (
    r"spec.devices.requests\[0\].adminAccess: Forbidden: admin access to devices requires the "
    "`resource.kubernetes.io/admin-access: true` label on the containing namespace"
)


def a_claim(name="look", **more):
    request = {"name": "all", "exactly": {"deviceClassName": "gpu", "allocationMode": "All", **more}}
    spec = {"devices": {"requests": [request]}}
    return {"apiVersion": V1, "kind": "ResourceClaim", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def a_template():
    claim = a_claim(adminAccess=True)
    return {**claim, "kind": "ResourceClaimTemplate", "spec": {"spec": claim["spec"]}}


@pytest.mark.parametrize("manifest", [a_claim(adminAccess=True), a_template()], ids=["claim", "template"])
async def test_admin_access_needs_the_label_of_the_namespace(manifest):
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        with pytest.raises(Invalid, match=FORBIDDEN):
            await client.create(manifest)
        await client.patch(Namespace, "default", None, MARK)
        await client.create(manifest)


async def test_admin_access_is_not_given_either_where_the_label_is_missing():
    result = {"request": "all", "driver": "x.example", "pool": "p", "device": "d", "adminAccess": True}
    status = {"status": {"allocation": {"devices": {"results": [result]}}}}
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        await client.create(a_claim())
        with pytest.raises(Invalid, match=r"status.allocation.devices.results\[0\].adminAccess: Forbidden"):
            await client.patch(ResourceClaim, "look", "default", status, subresource="status")
        await client.patch(Namespace, "default", None, MARK)
        await client.patch(ResourceClaim, "look", "default", status, subresource="status")
        await client.patch(Namespace, "default", None, {"metadata": {"labels": None}})
        await client.patch(ResourceClaim, "look", "default", status, subresource="status")


def a_slice(generation=1):
    pool = {"name": "p", "generation": generation, "resourceSliceCount": 1}
    devices = [{"name": "d", "taints": [{"key": "old", "effect": "NoSchedule"}]}]
    spec = {"driver": "x.example", "pool": pool, "nodeName": "n", "devices": devices}
    return {"apiVersion": V1, "kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": spec}


async def test_a_taint_of_a_device_gets_the_time_and_keeps_it():
    async with running_api(now=clock.now) as api:
        client = a_client(api)
        first = ResourceSlice.read(await client.create(a_slice()))
        await client.update(a_slice(generation=2))
        again = await client.get(ResourceSlice, "s")

    assert first.spec.devices[0].taints[0].time_added is not None
    assert again.spec.devices == first.spec.devices


@pytest.mark.parametrize("is_apply", [True, False])
async def test_a_slice_that_is_written_anew_without_the_times_has_not_changed(api, is_apply):
    slices = "/apis/resource.k8s.io/v1/resourceslices"
    query = {"fieldManager": "driver"}

    async def written():
        return await api.patch(f"{slices}/s", a_slice(), APPLY, query=query)

    made = (await written()).json if is_apply else await api.made(slices, a_slice(), query=query)

    again = await written() if is_apply else await api.put(f"{slices}/s", a_slice(), query=query)

    assert again.json["metadata"] == made["metadata"]
    assert again.json["spec"]["devices"][0]["taints"][0]["timeAdded"]
