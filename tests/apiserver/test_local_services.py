"""The server tells of itself: API services of what is served, priority levels and flow schemas to begin with."""

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
