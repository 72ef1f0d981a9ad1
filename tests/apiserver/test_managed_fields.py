"""managedFields: creates, updates and patches take ownership of what they change."""

from datetime import UTC, datetime, timedelta

from apiserver.storage import open_store
from tests.apiserver.local_api import APPS, CORE, JSON_PATCH, MERGE, Api, running_api
from tests.apiserver.test_objects import MAPS, a_deployment, a_map
from tests.apiserver.test_server_side_apply import config, owners

WEB = f"{APPS}/deployments/web"


def agent(name: str) -> dict[str, dict[str, str]]:
    return {"headers": {"user-agent": f"{name}/v1.2 (linux/amd64)"}}


async def test_a_create_owns_what_it_says_and_what_defaults_add(api: Api):
    made = await api.made(f"{APPS}/deployments", a_deployment(replicas=2), **agent("kubectl"))

    [entry] = made["metadata"]["managedFields"]
    spec = entry["fieldsV1"]["f:spec"]
    assert (entry["manager"], entry["operation"], list(entry["fieldsV1"])) == ("kubectl", "Update", ["f:spec"])
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}
    assert spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert set(spec["f:template"]["f:spec"]["f:containers"]) == {'k:{"name":"c"}'}
    assert {"f:replicas", "f:selector", "f:progressDeadlineSeconds"} <= set(spec)


async def test_a_name_in_the_query_goes_before_the_one_of_the_client(api: Api):
    await api.made(MAPS, a_map(), **agent("kubectl"))

    answer = await api.patch(f"{MAPS}/a", {"data": {"l": "w"}}, MERGE, query={"fieldManager": "me"}, **agent("kubectl"))

    own = {"kubectl Update": {"f:data": {".": {}, "f:k": {}}}, "me Update": {"f:data": {"f:l": {}}}}
    assert owners(answer) == own


async def test_who_changes_a_field_takes_it_and_who_removes_it_takes_it_from_all(api: Api):
    await api.made(MAPS, a_map(labels={"x": "1"}), **agent("one"))

    changed = await api.patch(f"{MAPS}/a", {"data": {"k": "w"}}, MERGE, **agent("two"))
    removed = await api.patch(f"{MAPS}/a", {"data": None}, MERGE, **agent("three"))

    labels = {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}
    assert owners(changed) == {"one Update": {"f:data": {}} | labels, "two Update": {"f:data": {"f:k": {}}}}
    assert owners(removed) == {"one Update": labels}


async def test_an_update_without_effect_leaves_version_and_times_alone():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with running_api(now=lambda: now) as api:
        made = await api.made(MAPS, a_map(), **agent("one"))
        now += timedelta(hours=1)

        put = await api.request("PUT", f"{MAPS}/a", a_map(), **agent("two"))
        changed = await api.patch(f"{MAPS}/a", {"data": {"l": "w"}}, MERGE, **agent("one"))

    assert put.json == made
    [entry] = changed.json["metadata"]["managedFields"]
    assert entry["time"] == "2026-01-01T01:00:00Z"


async def test_a_status_has_an_entry_of_its_own(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment() | {"status": {"replicas": 9}}, **agent("ctl"))
    wanted = {
        "spec": {"replicas": 7},
        "status": {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]},
    }

    answer = await api.patch(f"{WEB}/status", wanted, MERGE, **agent("ctl"))

    main, status = answer.json["metadata"]["managedFields"]
    assert ("subresource" in main, list(main["fieldsV1"])) == (False, ["f:spec"])
    condition = {'k:{"type":"Available"}': {".": {}, "f:type": {}, "f:status": {}}}
    assert (status["subresource"], status["fieldsV1"]) == (
        "status",
        {"f:status": {"f:replicas": {}, "f:conditions": {".": {}, **condition}}},
    )


async def test_the_place_of_a_pod_belongs_to_nobody(api: Api):
    pod = config("Pod", "p", spec={"containers": [{"name": "c", "image": "i"}]})
    made = await api.made(f"{CORE}/pods", pod, **agent("ctl"))
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}

    await api.made(f"{CORE}/pods/p/binding", target, **agent("scheduler"))

    bound = (await api.get(f"{CORE}/pods/p")).json
    assert (bound["spec"]["nodeName"], bound["metadata"]["managedFields"]) == ("n", made["metadata"]["managedFields"])


async def test_what_admission_adds_belongs_to_nobody():
    async with running_api(admission=True) as api:
        await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "default"}})
        made = await api.made(f"{CORE}/pods", config("Pod", "p", spec={"containers": [{"name": "c", "image": "i"}]}))
        service = await api.made(f"{CORE}/services", config("Service", "s", spec={"ports": [{"port": 80}]}))

    owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert {"tolerations", "volumes", "serviceAccountName"} <= set(made["spec"])
    assert {"f:tolerations", "f:volumes", "f:serviceAccountName"} & set(owned) == set()
    assert "f:clusterIP" not in service["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]


async def test_what_stands_in_front_of_a_pointer_to_the_entries_does_not_count(api: Api):
    made = await api.made(MAPS, a_map(), **agent("one"))
    [entry] = made["metadata"]["managedFields"]
    renamed = [{"op": "replace", "path": "x/metadata/managedFields/0", "value": {**entry, "manager": "other"}}]

    answer = await api.patch(f"{MAPS}/a", renamed, JSON_PATCH, **agent("two"))

    assert list(owners(answer)) == ["other Update"]


async def test_clients_may_rewrite_and_forget_the_entries(api: Api):
    made = await api.made(MAPS, a_map(), **agent("one"))
    [entry] = made["metadata"]["managedFields"]
    renamed = [{"op": "replace", "path": "/metadata/managedFields", "value": [{**entry, "manager": "other"}]}]

    other = await api.patch(f"{MAPS}/a", renamed, JSON_PATCH, **agent("two"))
    wrong = await api.patch(f"{MAPS}/a", {"metadata": {"managedFields": [{"manager": "x"}]}}, MERGE)
    forgotten = await api.patch(f"{MAPS}/a", {"metadata": {"managedFields": [{}]}}, MERGE)
    untracked = await api.patch(f"{MAPS}/a", {"data": {"k": "w"}}, MERGE, **agent("two"))

    assert owners(other) == owners(wrong) == {"other Update": {"f:data": {".": {}, "f:k": {}}}}
    assert owners(forgotten) == owners(untracked) == {}


async def test_an_update_that_does_not_mention_the_entries_keeps_them(api: Api):
    made = await api.made(MAPS, a_map(), **agent("one"))
    made["metadata"].pop("managedFields")

    answer = await api.request("PUT", f"{MAPS}/a", made | {"data": {"k": "v", "l": "w"}}, **agent("two"))

    assert owners(answer)["one Update"] == {"f:data": {".": {}, "f:k": {}}}


async def test_a_subresource_does_not_rewrite_the_entries(api: Api):
    made = await api.made(f"{APPS}/deployments", a_deployment(), **agent("one"))

    answer = await api.patch(f"{WEB}/status", {"metadata": {"managedFields": [{}]}, "status": {"replicas": 1}}, MERGE)

    assert made["metadata"]["managedFields"][0] in answer.json["metadata"]["managedFields"]


async def test_of_many_writers_the_oldest_share_an_entry(api: Api):
    await api.made(MAPS, a_map(), **agent("w0"))

    for number in range(1, 13):
        answer = await api.patch(f"{MAPS}/a", {"data": {f"k{number}": "v"}}, MERGE, **agent(f"w{number:02}"))

    entries = owners(answer)
    assert (len(entries), "ancient-changes Update" in entries, "w12 Update" in entries) == (10, True, True)
    owned = sorted(name for fields in entries.values() for name in fields["f:data"] if name != ".")
    assert owned == sorted(["f:k", *(f"f:k{number}" for number in range(1, 13))])


async def test_an_apply_keeps_up_the_annotation_of_client_side_apply(api: Api):
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap"}'
    }
    await api.made(MAPS, a_map(annotations=annotations), query={"fieldManager": "kubectl-client-side-apply"})

    answer = await api.apply(f"{MAPS}/a", config(data={"k": "w"}), "kubectl")

    assert answer.status == 200, answer.json
    [applied] = answer.json["metadata"]["annotations"].values()
    assert (answer.json["data"], '"data":{"k":"w"}' in applied) == ({"k": "w"}, True)


async def test_a_field_that_changed_since_client_side_apply_is_a_conflict(api: Api):
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion":"v1","data":{"k":"old"},"kind":"ConfigMap"}'
    }
    await api.made(MAPS, a_map(annotations=annotations), **agent("editor"))

    answer = await api.apply(f"{MAPS}/a", config(data={"k": "w"}), "kubectl")

    assert answer.json["message"] == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.k'


async def test_owners_survive_a_restart(tmp_path):
    store = await open_store(f"sqlite:{tmp_path / 'db'}")
    async with running_api(store) as api:
        made = (await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "x")).json

    async with running_api(await open_store(f"sqlite:{tmp_path / 'db'}")) as api:
        again = await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "x")

    assert again.json == made
