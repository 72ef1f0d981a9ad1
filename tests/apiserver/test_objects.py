"""Create, read, update and delete, and what the server writes into metadata."""

import re

import pytest

from tests.apiserver.local_api import APPS, CORE, Api

MAPS = f"{CORE}/configmaps"


def a_map(name: str = "a", **more: object) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"k": "v"}}


def a_deployment(name: str = "web", **spec: object) -> dict:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "img"}]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_a_created_object_has_identity_and_time(api: Api):
    made = await api.made(MAPS, a_map(uid="mine", creationTimestamp=None, generation=7))

    metadata = made["metadata"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", metadata["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    own = {"name", "namespace", "uid", "creationTimestamp", "resourceVersion", "managedFields"}
    assert set(metadata) == own
    assert made["data"] == {"k": "v"}


async def test_what_was_created_can_be_read(api: Api):
    made = await api.made(MAPS, a_map())

    assert (await api.get(f"{MAPS}/a")).json == made
    assert (await api.get(f"{MAPS}/a", query={"resourceVersion": "0"})).json == made


async def test_a_body_without_kind_is_taken_at_the_words_of_the_url(api: Api):
    made = await api.made(MAPS, {"metadata": {"name": "a", "creationTimestamp": None}, "data": None})

    assert (made["kind"], made["apiVersion"], made["metadata"]["namespace"]) == ("ConfigMap", "v1", "default")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (a_map(resourceVersion="5"), (400, "BadRequest")),
        (a_map(namespace="other"), (400, "BadRequest")),
        ({"kind": "Secret", "metadata": {"name": "a"}}, (400, "BadRequest")),
        ({"apiVersion": "v2", "metadata": {"name": "a"}}, (400, "BadRequest")),
        ([], (400, "BadRequest")),
        (b"{", (400, "BadRequest")),
        (b"", (400, "BadRequest")),
        ({"metadata": {}}, (422, "Invalid")),
        ({"metadata": {"name": "Not_A_Name"}}, (422, "Invalid")),
        ({"metadata": {"name": "a" * 254}}, (422, "Invalid")),
    ],
)
async def test_a_bad_create_is_refused_and_stores_nothing(api: Api, body: object, error: tuple[int, str]):
    answer = await api.post(MAPS, body)

    assert answer.error[:2] == error
    assert (await api.get(MAPS)).json["items"] == []


async def test_a_taken_name_is_a_409(api: Api):
    await api.made(MAPS, a_map())

    answer = await api.post(MAPS, a_map())

    assert answer.error == (409, "AlreadyExists", 'configmaps "a" already exists')
    assert answer.json["details"] == {"name": "a", "kind": "configmaps"}


async def test_a_generated_name_is_the_prefix_and_five_characters(api: Api):
    made = await api.made(MAPS, {"metadata": {"generateName": "web-"}})

    assert re.fullmatch("web-[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])
    assert made["metadata"]["generateName"] == "web-"


async def test_a_long_prefix_is_cut_so_that_the_name_fits(api: Api):
    made = await api.made(MAPS, {"metadata": {"generateName": "w" * 100}})

    assert len(made["metadata"]["name"]) == 63


async def test_nothing_is_created_in_a_missing_namespace(api: Api):
    answer = await api.post("/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "a"}})

    assert answer.error == (404, "NotFound", 'namespaces "nowhere" not found')
    assert (await api.get("/api/v1/namespaces/nowhere/configmaps")).json["items"] == []


async def test_of_a_pod_in_a_missing_namespace_that_is_said_and_not_what_the_pod_would_find_missing_there(api: Api):
    spec = {"containers": [{"name": "c", "image": "c"}], "serviceAccountName": "robot"}

    answer = await api.post("/api/v1/namespaces/nowhere/pods", {"metadata": {"name": "a"}, "spec": spec})

    assert answer.error == (404, "NotFound", 'namespaces "nowhere" not found')


async def test_nothing_is_created_in_a_namespace_that_is_going(api: Api):
    await api.made("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    await api.delete("/api/v1/namespaces/shop")

    answer = await api.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}})

    assert answer.error[:2] == (403, "Forbidden")
    assert answer.json["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace shop is being terminated",
            "field": "metadata.namespace",
        }
    ]


async def test_an_update_of_the_newest_version_is_stored(api: Api):
    made = await api.made(MAPS, a_map())

    answer = await api.put(f"{MAPS}/a", {**made, "data": {"k": "w"}})

    assert (answer.status, answer.json["data"]) == (200, {"k": "w"})
    assert int(answer.json["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_an_update_of_an_older_version_is_a_409(api: Api):
    made = await api.made(MAPS, a_map())
    await api.put(f"{MAPS}/a", {**made, "data": {"k": "w"}})

    answer = await api.put(f"{MAPS}/a", {**made, "data": {"k": "x"}})

    why = "the object has been modified; please apply your changes to the latest version and try again"
    assert answer.error == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {why}')
    assert (await api.get(f"{MAPS}/a")).json["data"] == {"k": "w"}


async def test_an_update_that_names_no_version_overwrites(api: Api):
    await api.made(MAPS, a_map())

    answer = await api.put(f"{MAPS}/a", {"metadata": {"name": "a"}, "data": {"k": "w"}})

    assert (answer.status, answer.json["data"]) == (200, {"k": "w"})


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api):
    made = await api.made(MAPS, a_map())

    assert (await api.put(f"{MAPS}/a", made)).json == made


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "b"}, 400),
        ({"namespace": "kube-system"}, 400),
        ({"uid": "00000000-0000-4000-8000-000000000000"}, 409),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, 422),
        ({"deletionGracePeriodSeconds": 5}, 422),
    ],
)
async def test_identity_cannot_be_changed(api: Api, change: dict, code: int):
    made = await api.made(MAPS, a_map())

    answer = await api.put(f"{MAPS}/a", {**made, "metadata": {**made["metadata"], **change}})

    assert answer.status == code, answer.body
    assert (await api.get(f"{MAPS}/a")).json == made


async def test_what_only_the_server_sets_is_kept_in_silence(api: Api):
    made = await api.made(APPS + "/deployments", a_deployment())
    changed = {**made["metadata"], "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 99}

    answer = await api.put(APPS + "/deployments/web", {**made, "metadata": changed})

    assert (answer.status, answer.json["metadata"]) == (200, made["metadata"])


async def test_generation_counts_changes_of_the_spec_only(api: Api):
    made = await api.made(APPS + "/deployments", a_deployment())
    labelled = await api.patch(APPS + "/deployments/web", {"metadata": {"labels": {"a": "b"}}})
    reported = await api.patch(APPS + "/deployments/web/status", {"status": {"replicas": 3}})
    scaled = await api.patch(APPS + "/deployments/web", {"spec": {"replicas": 3}})

    generations = [each["metadata"]["generation"] for each in (made, labelled.json, reported.json, scaled.json)]
    assert generations == [1, 1, 1, 2]


async def test_kinds_that_do_not_count_have_no_generation(api: Api):
    made = await api.made(MAPS, a_map())

    assert "generation" not in made["metadata"]


async def test_the_main_resource_ignores_status_and_status_ignores_spec(api: Api):
    made = await api.made(APPS + "/deployments", {**a_deployment(), "status": {"replicas": 9}})
    main = await api.patch(APPS + "/deployments/web", {"status": {"replicas": 9}})
    status = await api.patch(
        APPS + "/deployments/web/status",
        {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 7}, "status": {"replicas": 2}},
    )

    assert made.get("status", {}) == main.json.get("status", {}) == {}
    assert (status.json["spec"]["replicas"], status.json["status"]["replicas"]) == (1, 2)
    assert "labels" not in status.json["metadata"]


async def test_the_agents_of_pods_may_set_metadata_with_the_status(api: Api):
    await api.made(f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})

    patch = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
    answer = await api.patch(f"{CORE}/pods/p/status", patch)

    assert (answer.json["metadata"]["labels"], answer.json["status"]["phase"]) == ({"a": "b"}, "Running")


async def test_a_lease_needs_a_version_for_an_update(api: Api):
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    made = await api.made(leases, {"metadata": {"name": "l"}})
    del made["metadata"]["resourceVersion"]

    answer = await api.put(f"{leases}/l", made)

    cause = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    assert answer.error == (422, "Invalid", f'leases.coordination.k8s.io "l" is invalid: {cause}')


@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {}),
        ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "h"}),
    ],
)
async def test_an_update_creates_what_is_no_config_map(api: Api, collection: str, fields: dict):
    made = await api.put(f"{collection}/l", {"metadata": {"name": "l"}, **fields})
    again = await api.put(f"{collection}/l", {"metadata": {"name": "l"}, **fields})
    absent = await api.put(f"{MAPS}/a", a_map())

    assert (made.status, again.status) == (201, 422)
    assert absent.error == (404, "NotFound", 'configmaps "a" not found')


async def test_a_dry_run_tells_and_stores_nothing(api: Api):
    created = await api.post(MAPS, a_map(), query={"dryRun": "All"})
    await api.made(MAPS, a_map("b"))
    patched = await api.patch(f"{MAPS}/b", {"data": {"k": "w"}}, query={"dryRun": "All"})
    deleted = await api.delete(f"{MAPS}/b", query={"dryRun": "All"})

    assert (created.status, "resourceVersion" in created.json["metadata"]) == (201, False)
    assert (patched.json["data"], deleted.status) == ({"k": "w"}, 200)
    assert [item["data"] for item in (await api.get(MAPS)).json["items"]] == [{"k": "v"}]


async def test_only_all_is_a_dry_run(api: Api):
    answer = await api.post(MAPS, a_map(), query={"dryRun": "Some"})

    assert answer.error[:2] == (422, "Invalid")
    assert answer.json["details"]["kind"] == "CreateOptions"


async def test_stringdata_of_a_secret_is_merged_and_not_returned(api: Api):
    made = await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}})

    assert (made["data"], made["type"], "stringData" in made) == ({"k": "dg=="}, "Opaque", False)


async def test_events_are_judged_by_the_rules_of_their_group(api: Api):
    told = {"metadata": {"name": "e"}, "regarding": {"namespace": "default"}}
    new = await api.post("/apis/events.k8s.io/v1/namespaces/default/events", told)
    old = await api.post(f"{CORE}/events", {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}})

    assert {cause["field"] for cause in new.json["details"]["causes"]} == {"eventTime", "type"}
    assert (new.status, old.status) == (422, 201)
