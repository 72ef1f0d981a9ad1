"""The service `default/kubernetes`: what pods rely on comes back."""

import asyncio
from typing import Any

import pytest

from tests.apiserver.local_api import CORE, Api, running_api

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


async def seen(api: Api, path: str) -> Any:
    """The object, as soon as it exists."""
    async with asyncio.timeout(5):
        while (answer := await api.get(path)).status == 404:  # noqa: ASYNC110
            await asyncio.sleep(0)
    return {key: value for key, value in answer.json.items() if key != "metadata"}


@pytest.mark.parametrize("path", [f"{CORE}/services", f"{CORE}/endpoints", SLICES])
async def test_what_makes_the_service_is_brought_back_as_it_was(path: str):
    async with running_api(advertise_address="10.1.2.3") as api:
        before = await seen(api, f"{path}/kubernetes")

        deleted = await api.request("DELETE", f"{path}/kubernetes")
        after = await seen(api, f"{path}/kubernetes")

    assert (deleted.status, after) == (200, before)


async def test_all_of_it_at_once_too():
    async with running_api(advertise_address="10.1.2.3") as api:
        for path in (f"{CORE}/endpoints", SLICES, f"{CORE}/services"):
            await api.request("DELETE", path)

        service = await seen(api, f"{CORE}/services/kubernetes")
        slice = await seen(api, f"{SLICES}/kubernetes")
        endpoints = await seen(api, f"{CORE}/endpoints/kubernetes")

    assert (service["spec"]["clusterIP"], slice["endpoints"][0]["addresses"]) == ("10.96.0.1", ["10.1.2.3"])
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.1.2.3"}]


async def test_a_server_that_only_this_machine_reaches_has_no_addresses(api: Api):
    await api.request("DELETE", f"{CORE}/services/kubernetes")

    service = await seen(api, f"{CORE}/services/kubernetes")

    assert service["spec"]["ports"][0]["targetPort"] == 6443
    assert (await api.get(f"{CORE}/endpoints")).json["items"] == []
