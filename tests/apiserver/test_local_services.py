"""The server tells of itself: API services of what is served, priority levels and flow schemas to begin with."""

import asyncio
from typing import Any

from tests.apiserver.custom_kinds import DEFINITIONS, a_definition, a_version, declared, gone
from tests.apiserver.local_api import TABLE, Api

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"


async def test_every_group_and_version_has_a_local_service_that_is_available(api: Api):
    groups = (await api.get("/apis")).json["groups"]
    rows = (await api.get(SERVICES, headers={"accept": TABLE})).json["rows"]

    served = {f"{each['version']}.{group['name']}" for group in groups for each in group["versions"]} | {"v1."}
    assert {row["cells"][0] for row in rows} == served - {"v1.apiregistration.k8s.io"}
    assert {tuple(row["cells"][1:3]) for row in rows} == {("Local", "True")}


async def test_levels_and_schemas_are_there_from_the_beginning(api: Api):
    levels = (await api.get(f"{FLOW}/prioritylevelconfigurations", headers={"accept": TABLE})).json["rows"]
    schemas = (await api.get(f"{FLOW}/flowschemas")).json["items"]

    shown = {row["cells"][0]: row["cells"][1:6] for row in levels}
    assert shown["exempt"] == ["Exempt", "<none>", "<none>", "<none>", "<none>"]
    assert shown["workload-high"] == ["Limited", 40, 128, 6, 50]
    named = {schema["spec"]["priorityLevelConfiguration"]["name"] for schema in schemas}
    assert named == set(shown)
    assert len(schemas) == 13


async def test_groups_of_custom_kinds_have_a_service_while_they_are_served(api: Api):
    await declared(api, a_definition(versions=[a_version("v1"), a_version("v2", storage=False)]))
    shown = [(await found(api, f"{SERVICES}/{version}.example.com"))["spec"] for version in ("v1", "v2")]
    await api.delete(f"{SERVICES}/v1.example.com")
    again = await found(api, f"{SERVICES}/v1.example.com")
    await api.delete(f"{DEFINITIONS}/widgets.example.com")
    await gone(api, f"{SERVICES}/v1.example.com")

    priorities = {"groupPriorityMinimum": 1000, "versionPriority": 100}
    assert shown == [{"group": "example.com", "version": version, **priorities} for version in ("v1", "v2")]
    assert again["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert again["status"]["conditions"][0]["status"] == "True"


async def found(api: Api, path: str) -> Any:
    for _ in range(1000):
        answer = await api.get(path)
        if answer.status == 200:
            return answer.json
        await asyncio.sleep(0)
    raise AssertionError(f"{path} did not come")


async def test_what_nobody_serves_is_counted_together(api: Api):
    for number in range(5):
        await api.get(f"/apis/none{number}.example.com/v1/things{number}")
    await api.get("/api/v1/namespaces/default/pods/missing")

    counted = [key for key in api.server.counts.tallies if key[-1] == 404]

    assert sorted(counted) == [
        ("get", "", "v1", "pods", "", True, True, False, 404),
        ("list", "", "", "", "", False, False, False, 404),
    ]
