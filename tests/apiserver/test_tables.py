"""Tables: what `kubectl get` prints, and the other forms an object can take."""

import pytest

from tests.apiserver.local_api import APPS, CORE, PARTIAL, TABLE, Api, cells_of
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_objects import MAPS, a_deployment, a_map

COLUMNS = {
    "/api/v1/pods": "Name Ready Status Restarts Age IP Node Nominated_Node Readiness_Gates",
    "/api/v1/nodes": (
        "Name Status Roles Age Version Internal-IP External-IP OS-Image Kernel-Version Container-Runtime"
    ),
    "/api/v1/services": "Name Type Cluster-IP External-IP Port(s) Age Selector",
    "/api/v1/namespaces": "Name Status Age",
    "/api/v1/configmaps": "Name Data Age",
    "/api/v1/secrets": "Name Type Data Age",
    "/api/v1/serviceaccounts": "Name Age",
    "/api/v1/endpoints": "Name Endpoints Age",
    "/api/v1/events": "Last_Seen Type Reason Object Subobject Source Message First_Seen Count Name",
    "/apis/events.k8s.io/v1/events": "Last_Seen Type Reason Object Subobject Source Message First_Seen Count Name",
    "/api/v1/persistentvolumes": (
        "Name Capacity Access_Modes Reclaim_Policy Status Claim StorageClass VolumeAttributesClass "
        "Reason Age VolumeMode"
    ),
    "/api/v1/persistentvolumeclaims": (
        "Name Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age VolumeMode"
    ),
    "/apis/apps/v1/deployments": "Name Ready Up-to-date Available Age Containers Images Selector",
    "/apis/apps/v1/replicasets": "Name Desired Current Ready Age Containers Images Selector",
    "/apis/apps/v1/controllerrevisions": "Name Controller Revision Age",
    "/apis/coordination.k8s.io/v1/leases": "Name Holder Age",
    "/apis/discovery.k8s.io/v1/endpointslices": "Name AddressType Ports Endpoints Age",
    "/apis/policy/v1/poddisruptionbudgets": "Name Min_Available Max_Unavailable Allowed_Disruptions Age",
    "/apis/rbac.authorization.k8s.io/v1/roles": "Name Created_At",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": "Name Created_At",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings": "Name Role Age Users Groups ServiceAccounts",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": "Name Role Age Users Groups ServiceAccounts",
    "/apis/scheduling.k8s.io/v1/priorityclasses": "Name Value Global-Default Age PreemptionPolicy",
    "/apis/storage.k8s.io/v1/storageclasses": (
        "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age"
    ),
}


@pytest.mark.parametrize("path", COLUMNS)
async def test_the_columns_are_kubernetes_own(api: Api, path: str):
    table = (await api.get(path, headers={"accept": TABLE})).json

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"].replace(" ", "_") for column in table["columnDefinitions"]] == COLUMNS[path].split()
    assert {frozenset(column) for column in table["columnDefinitions"]} == {
        frozenset({"name", "type", "format", "description", "priority"})
    }
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])


async def test_a_row_carries_the_metadata_of_its_object(api: Api):
    made = await api.made(MAPS, a_map())

    table = (await api.get(MAPS, headers={"accept": TABLE})).json

    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    assert [(cells_of(row), row["object"]) for row in table["rows"]] == [(["a", 1, "0s"], partial)]
    assert table["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(("include", "carried"), [("None", None), ("Object", "ConfigMap")])
async def test_a_row_carries_what_is_asked_for(api: Api, include: str, carried: str | None):
    made = await api.made(MAPS, a_map())

    (row,) = (await api.get(MAPS, headers={"accept": TABLE}, query={"includeObject": include})).json["rows"]

    assert row.get("object") == (made if carried else None)


async def test_an_unknown_include_is_a_400(api: Api):
    answer = await api.get(MAPS, headers={"accept": TABLE}, query={"includeObject": "Everything"})

    assert answer.error[:2] == (400, "BadRequest")


async def test_one_object_is_a_table_of_one_row(api: Api):
    made = await api.made(MAPS, a_map())

    table = (await api.get(f"{MAPS}/a", headers={"accept": TABLE})).json

    assert (len(table["rows"]), table["metadata"]) == (
        1,
        {"resourceVersion": made["metadata"]["resourceVersion"]},
    )


async def test_a_write_can_answer_with_a_table(api: Api):
    answer = await api.post(MAPS, a_map(), headers={"accept": TABLE})

    assert (answer.status, answer.json["kind"], answer.header("content-type")) == (201, "Table", "application/json")


async def test_what_is_not_stored_has_no_table(api: Api):
    review = {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    only_a_table = TABLE.partition(",")[0]

    refused = await api.post(path, review, headers={"accept": only_a_table})
    otherwise = await api.post(path, review, headers={"accept": TABLE})

    assert refused.error[:2] == (406, "NotAcceptable")
    assert (otherwise.status, otherwise.json["kind"]) == (201, "SelfSubjectAccessReview")


async def test_an_error_is_a_status_even_where_a_table_was_wanted(api: Api):
    assert (await api.get(f"{MAPS}/a", headers={"accept": TABLE})).json["kind"] == "Status"


async def test_the_older_table_version_is_echoed(api: Api):
    answer = await api.get(MAPS, headers={"accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"})

    assert answer.json["apiVersion"] == "meta.k8s.io/v1beta1"


async def test_pages_of_tables_continue(api: Api):
    for name in "abc":
        await api.made(MAPS, a_map(name))

    first = (await api.get(MAPS, headers={"accept": TABLE}, query={"limit": 2})).json
    query = {"limit": 2, "continue": first["metadata"]["continue"]}
    rest = (await api.get(MAPS, headers={"accept": TABLE}, query=query)).json

    assert [row["cells"][0] for row in first["rows"] + rest["rows"]] == ["a", "b", "c"]
    assert first["metadata"]["remainingItemCount"] == 1


async def test_a_scale_has_its_own_table(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment(replicas=3))

    table = (await api.get(f"{APPS}/deployments/web/scale", headers={"accept": TABLE})).json

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert cells_of(table["rows"][0]) == ["web", 3, 0, "0s"]


async def test_a_pending_pod_looks_as_kubectl_shows_it(api: Api):
    await api.made(PODS, a_pod())

    (row,) = (await api.get(PODS, headers={"accept": TABLE})).json["rows"]

    assert cells_of(row) == ["p", "0/1", "Pending", "0", "0s", "<none>", "<none>", "<none>", "<none>"]


async def test_a_new_deployment_looks_as_kubectl_shows_it(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment(replicas=3))

    (row,) = (await api.get(f"{APPS}/deployments", headers={"accept": TABLE})).json["rows"]

    assert cells_of(row) == ["web", "0/3", 0, 0, "0s", "c", "img", "app=web"]


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("", 200, "ConfigMap"),
        ("*/*", 200, "ConfigMap"),
        ("application/*", 200, "ConfigMap"),
        ("text/html,application/json;q=0.5", 200, "ConfigMap"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", 200, "ConfigMap"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", 200, "ConfigMap"),
        (PARTIAL, 200, "PartialObjectMetadata"),
        ("text/html", 406, "Status"),
        ("application/cbor", 406, "Status"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", 406, "Status"),
        ("application/json;q=x", 406, "Status"),
        (";;;,=,;q", 406, "Status"),
    ],
)
async def test_the_first_acceptable_form_wins(api: Api, accept: str, status: int, kind: str):
    await api.made(MAPS, a_map())

    answer = await api.get(f"{MAPS}/a", headers={"accept": accept})

    assert (answer.status, answer.json["kind"]) == (status, kind)


async def test_yaml_is_yaml(api: Api):
    import yaml

    made = await api.made(MAPS, a_map())

    answer = await api.get(f"{MAPS}/a", headers={"accept": "application/yaml"})

    assert (answer.header("content-type"), yaml.safe_load(answer.body)["data"]) == ("application/yaml", made["data"])


async def test_a_form_that_cannot_be_made_falls_to_the_next_clause(api: Api):
    path = f"{CORE}/serviceaccounts"

    answer = await api.get(path, headers={"accept": "application/json;as=Riddle;v=v1;g=meta.k8s.io, application/json"})

    assert answer.json["kind"] == "ServiceAccountList"


async def test_pretty_json_is_indented(api: Api):
    await api.made(MAPS, a_map())

    plain = await api.get(f"{MAPS}/a")
    asked = await api.get(f"{MAPS}/a", query={"pretty": "true"})
    curl = await api.get(f"{MAPS}/a", headers={"user-agent": "curl/8.0"})
    refused = await api.get(f"{MAPS}/a", headers={"user-agent": "curl/8.0"}, query={"pretty": "false"})

    assert asked.body == curl.body
    assert plain.body == refused.body
    assert asked.body.count(b"\n") > 5 > plain.body.count(b"\n")
