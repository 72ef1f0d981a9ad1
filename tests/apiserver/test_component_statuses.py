"""`kubectl get componentstatuses`: who of the control plane shows signs of life."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.apiserver.local_api import TABLE, Api, running_api

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


async def a_lease(api: Api, name: str, age: int, holder: str = "me") -> None:
    renewed = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}
    await api.made(LEASES, {"metadata": {"name": name}, "spec": spec})


async def test_a_component_is_healthy_while_it_renews_its_lease():
    async with running_api(now=lambda: NOW) as api:
        await a_lease(api, "kube-scheduler", age=2)
        await a_lease(api, "kube-controller-manager", age=40)

        answer = await api.get("/api/v1/componentstatuses", headers={"accept": TABLE})

    assert [row["cells"] for row in answer.json["rows"]] == [
        ["scheduler", "Healthy", "ok", ""],
        ["controller-manager", "Unhealthy", "", "Lease kube-controller-manager was last renewed 40s ago"],
        ["etcd-0", "Healthy", "ok", ""],
    ]
    assert answer.all("warning") == ['299 - "v1 ComponentStatus is deprecated in v1.19+"']


async def test_of_a_component_without_a_lease_nobody_can_tell(api: Api):
    rows = (await api.get("/api/v1/componentstatuses", headers={"accept": TABLE})).json["rows"]

    assert rows[0]["cells"] == ["scheduler", "Unknown", "it holds no Lease and watches nothing on this server", ""]


@pytest.mark.parametrize("was_given_back", [False, True])
async def test_a_component_that_leads_alone_is_healthy_while_it_watches(api: Api, was_given_back: bool):
    if was_given_back:
        await a_lease(api, "kube-scheduler", age=9999, holder="")
    async with api.watch("/api/v1/namespaces", user="system:kube-scheduler") as stream:
        await stream.next()
        watching = (await api.get("/api/v1/componentstatuses/scheduler")).json["conditions"]
    gone = (await api.get("/api/v1/componentstatuses/scheduler")).json["conditions"]

    assert (watching[0]["status"], gone[0]["status"]) == ("True", "Unknown")


async def test_endpoints_say_what_to_use_instead(api: Api):
    every = "/api/v1/endpoints"
    listed, missing = [await api.get(path) for path in (every, "/api/v1/namespaces/default/endpoints/none")]
    async with api.watch(every) as stream:
        watched = await stream.started

    said = ['299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"']
    assert [answer.all("warning") for answer in (listed, missing, watched)] == [said, said, said]


async def test_one_is_read_with_a_warning_and_none_is_written():
    async with running_api(now=lambda: NOW) as api:
        one = await api.get("/api/v1/componentstatuses/etcd-0")
        missing = await api.get("/api/v1/componentstatuses/x")
        written = await api.post("/api/v1/componentstatuses", {"metadata": {"name": "x"}})

    assert one.json["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    assert one.all("warning") == ['299 - "v1 ComponentStatus is deprecated in v1.19+"']
    assert (missing.status, written.status) == (404, 405)
