"""What clients rely on in the API server itself: discovery, paging, watches, tables, dry run, reviews, events."""

import json
import threading
from typing import Any

import pytest
from live_api import eventually, refusal
from live_pods import a_live_pod

JSON_V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def a_config_map(name: str, labels: Any = None, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


@pytest.mark.parametrize(("path", "resource"), [("/api", "pods"), ("/apis", "deployments")])
def test_discovery_is_told_in_one_document(api, path, resource):
    answer = api.call("GET", path, headers={"Accept": f"{JSON_V2},application/json"})

    assert (answer["kind"], answer["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    [found] = [r for g in answer["items"] for v in g["versions"] for r in v["resources"] if r["resource"] == resource]
    assert found["scope"] == "Namespaced"
    assert {"create", "watch"} < set(found["verbs"])


def test_every_group_version_answers_and_the_preferred_one_is_listed(api):
    for group in api.call("GET", "/apis")["groups"]:
        versions = [version["groupVersion"] for version in group["versions"]]
        assert group["preferredVersion"]["groupVersion"] in versions
        for version in versions:
            answer = api.call("GET", f"/apis/{version}")
            assert answer["groupVersion"] == version
            assert answer["resources"]
            assert all(r["name"] and r["kind"] and r["verbs"] for r in answer["resources"])


def test_the_version_is_one_of_kubernetes(api):
    version = api.call("GET", "/version")

    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")
    assert (version["major"] + version["minor"]).isdecimal()


def test_pages_are_of_one_moment(space):
    for number in range(10):
        space.create(a_config_map(f"page-{number}", {"paged": "yes"}))
    page = space.api.call("GET", space.path("ConfigMap"), labelSelector="paged=yes", limit=4)
    first, seen = page["metadata"], [item["metadata"]["name"] for item in page["items"]]
    space.delete("ConfigMap", "page-9")

    pages = [page]
    while "continue" in page["metadata"]:
        token = page["metadata"]["continue"]
        query = {"labelSelector": "paged=yes", "limit": 4, "continue": token}
        page = space.api.call("GET", space.path("ConfigMap"), **query)
        pages.append(page)
        seen += [item["metadata"]["name"] for item in page["items"]]

    assert seen == [f"page-{number}" for number in range(10)]
    assert {p["metadata"]["resourceVersion"] for p in pages} == {first["resourceVersion"]}


def test_the_number_of_those_that_remain_is_exact(space):
    for number in range(5):
        space.create(a_config_map(f"page-{number}"))
    everything = len(space.all("ConfigMap"))

    page = space.api.call("GET", space.path("ConfigMap"), limit=2)

    assert page["metadata"]["remainingItemCount"] == everything - 2


def test_what_has_no_table_is_not_acceptable(api):
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    error = refusal(lambda: api.call("POST", path, review, {"Accept": TABLE}))

    assert (error.code, error.status["reason"]) == (406, "NotAcceptable")


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/pods", "/api/v1/services", "/apis/apps/v1/deployments"])
def test_lists_are_told_as_tables(api, path):
    table = api.call("GET", path, headers={"Accept": TABLE})

    assert (table["kind"], table["columnDefinitions"][0]["name"]) == ("Table", "Name")
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])


def test_pages_are_told_as_tables(space):
    for number in range(3):
        space.create(a_config_map(f"page-{number}"))

    table = space.api.call("GET", space.path("ConfigMap"), headers={"Accept": TABLE}, limit=2)

    assert len(table["rows"]) == 2
    assert table["metadata"]["continue"]
    assert table["metadata"]["remainingItemCount"] > 0


def events_of(space, count: int, **query: Any) -> list[tuple[str, str]]:
    """Type and data of so many events about config maps called `it…`."""
    seen = []
    for event in space.api.watch(space.path("ConfigMap"), 20, **query):
        seen.append((event["type"], event["object"].get("data", {}).get("step", "")))
        if len(seen) == count:
            break
    return seen


def a_life(space, name: str = "it", labels: Any = None) -> str:
    """A config map is created, changed twice and deleted; the version before all of it."""
    before = space.api.call("GET", space.path("ConfigMap"))["metadata"]["resourceVersion"]
    space.create(a_config_map(name, labels or {"life": "1"}, data={"step": "0"}))
    for step in "12":
        space.patch("ConfigMap", name, {"data": {"step": step}})
    space.delete("ConfigMap", name)
    return before


LIFE = [("ADDED", "0"), ("MODIFIED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_tells_what_happened_since(space):
    before = a_life(space)

    assert events_of(space, 4, resourceVersion=before, labelSelector="life=1") == LIFE


def test_a_watch_goes_on_where_another_ended(space):
    before = a_life(space)
    first = next(space.api.watch(space.path("ConfigMap"), 20, resourceVersion=before, labelSelector="life=1"))
    version = first["object"]["metadata"]["resourceVersion"]

    assert events_of(space, 3, resourceVersion=version, labelSelector="life=1") == LIFE[1:]


def test_watches_tell_of_what_they_select(space):
    before = a_life(space, "one", {"life": "1"})
    a_life(space, "two", {"life": "2"})

    for selector, count in (("life=1", 4), ("life=2", 4), ("life in (1,2)", 8)):
        expected = LIFE * (count // 4)
        assert events_of(space, count, resourceVersion=before, labelSelector=selector) == expected


def test_an_object_that_leaves_the_selection_is_deleted_from_it(space):
    before = space.create(a_config_map("it", {"in": "yes"}))["metadata"]["resourceVersion"]
    for step, label in enumerate(("no", "no", "yes")):
        space.patch("ConfigMap", "it", {"metadata": {"labels": {"in": label}}, "data": {"step": str(step)}})
    space.delete("ConfigMap", "it")

    seen = events_of(space, 3, resourceVersion=before, labelSelector="in=yes")

    assert seen == [("DELETED", ""), ("ADDED", "2"), ("DELETED", "2")]


def test_many_watches_see_the_same_in_the_same_order(space):
    before = space.api.call("GET", space.path("ConfigMap"))["metadata"]["resourceVersion"]
    seen: list[list[str]] = [[] for _ in range(10)]

    def watch(into: list[str]) -> None:
        for event in space.api.watch(space.path("ConfigMap"), 30, resourceVersion=before, labelSelector="life"):
            into.append(event["type"] + event["object"]["metadata"]["resourceVersion"])
            if len(into) == 40:
                break

    threads = [threading.Thread(target=watch, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    for number in range(10):
        a_life(space, f"it-{number}")
    for thread in threads:
        thread.join()

    assert len(seen[0]) == 40
    assert all(into == seen[0] for into in seen)


def test_a_watch_begins_with_what_is_there_and_says_when_that_is_all(space):
    space.create(a_config_map("it"))

    seen = []
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    for event in space.api.watch(space.path("ConfigMap"), 20, fieldSelector="metadata.name=it", **options):
        seen.append(event)
        if event["type"] == "BOOKMARK":
            break

    assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]
    assert seen[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_what_is_immutable_keeps_its_data(space, kind):
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "it"}, "data": {"a": "YWFh"}}
    space.create(obj)
    space.patch(kind, "it", {"immutable": True})

    for change in ({"data": {"a": "YmJi"}}, {"immutable": False}, {"data": {"b": "YmJi"}}):
        assert refusal(lambda change=change: space.patch(kind, "it", change)).code == 422
    space.patch(kind, "it", {"metadata": {"labels": {"colour": "blue"}}})
    space.delete(kind, "it")


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_key_is_not_empty(space, kind):
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "it"}, "data": {"": "YWFh"}}

    assert refusal(lambda: space.create(obj)).code == 422


def test_a_priority_keeps_its_value(api):
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    name = api.call("POST", path, {"metadata": {"generateName": "conf-"}, "value": 7})["metadata"]["name"]

    api.patch(f"{path}/{name}", {"description": "seven"}, "merge")
    error = refusal(lambda: api.patch(f"{path}/{name}", {"value": 8}, "merge"))

    assert error.code == 422
    api.call("DELETE", f"{path}/{name}")


def test_a_namespace_is_finalized(space):
    path = f"/api/v1/namespaces/{space.namespace}/finalize"
    obj = space.get("Namespace", space.namespace)
    obj["spec"]["finalizers"].append("conf.example/x")

    with_it = space.api.call("PUT", path, obj)
    with_it["spec"]["finalizers"].remove("conf.example/x")
    without = space.api.call("PUT", path, with_it)

    assert (obj["status"]["phase"], without["spec"]["finalizers"]) == ("Active", ["kubernetes"])


def test_a_dry_run_changes_nothing(space):
    pod = space.create(a_live_pod("it", nodeSelector={"never": "there"}))

    seen = space.api.patch(space.path("Pod", "it"), {"spec": {"activeDeadlineSeconds": 5}}, dryRun="All")
    space.create(a_config_map("none"), dryRun="All")
    space.api.call("DELETE", space.path("Pod", "it"), dryRun="All")

    assert seen["spec"]["activeDeadlineSeconds"] == 5
    assert "none" not in space.names("ConfigMap")
    assert space.get("Pod", "it")["spec"] == pod["spec"]


def test_a_token_says_who_it_is(space):
    account = space.path("ServiceAccount", "default/token")
    asked = space.api.call("POST", account, {"spec": {"audiences": [], "expirationSeconds": 3600}})

    review = {"spec": {"token": asked["status"]["token"]}}
    answer = space.api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]

    assert answer["authenticated"] is True
    assert answer["user"]["username"] == f"system:serviceaccount:{space.namespace}:default"
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{space.namespace}", "system:authenticated"}
    assert set(answer["user"]["groups"]) == groups


def test_access_is_reviewed(space):
    user = f"system:serviceaccount:{space.namespace}:default"
    wants = {"namespace": space.namespace, "verb": "list", "resource": "configmaps"}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    review = {"spec": {"user": user, "resourceAttributes": wants}}
    before = space.api.call("POST", path, review)["status"]["allowed"]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": space.namespace}
    space.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "it"},
            "roleRef": role,
            "subjects": [subject],
        }
    )

    eventually(lambda: space.api.call("POST", path, review)["status"]["allowed"])

    assert before is False
    as_it = {"Impersonate-User": user}
    assert space.api.call("GET", space.path("ConfigMap"), headers=as_it)["items"]
    assert refusal(lambda: space.api.call("GET", space.path("Secret"), headers=as_it)).code == 403


def test_an_event_is_one_in_both_groups(space):
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": space.namespace, "name": "x"}
    space.create(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "it"},
            "type": "Normal",
            "regarding": regarding,
            "reason": "Told",
            "action": "Tell",
            "note": "so it is",
            "reportingController": "conf.example/x",
            "reportingInstance": "x",
            "eventTime": "2030-01-01T00:00:00.000000Z",
        }
    )
    series = {"count": 2, "lastObservedTime": "2030-01-01T00:00:00.123456Z"}
    space.change("events.k8s.io/v1 Event", "it", lambda event: event.update(series=series))

    core = space.get("v1 Event", "it")

    assert (core["involvedObject"], core["message"]) == (regarding, "so it is")
    assert core["series"] == series
    assert space.names("v1 Event", fieldSelector="involvedObject.name=x,reason=Told") == ["it"]
    assert space.names("events.k8s.io/v1 Event", fieldSelector="reportingController=conf.example/x") == ["it"]
    assert space.names("v1 Event", fieldSelector="source=none,reportingComponent=none") == []


def test_quality_of_service_is_known_at_once(space):
    resources = {"cpu": "100m", "memory": "10Mi"}
    pod = a_live_pod("it", nodeSelector={"never": "there"})
    pod["spec"]["containers"][0]["resources"] = {"limits": resources, "requests": resources}

    assert space.create(pod)["status"]["qosClass"] == "Guaranteed"


@pytest.mark.parametrize("name", ["foo-", "kernel.shmmax-", "safe,!", "_x"])
def test_names_of_sysctls_are_checked(space, name):
    pod = a_live_pod("it", securityContext={"sysctls": [{"name": name, "value": "1"}]})

    assert refusal(lambda: space.create(pod)).code == 422


def test_services_are_listed_across_namespaces(api):
    listed = [(s["metadata"]["namespace"], s["metadata"]["name"]) for s in api.call("GET", "/api/v1/services")["items"]]

    assert ("default", "kubernetes") in listed


def test_openapi_tells_of_kinds(api):
    assert "io.k8s.api.apps.v1.Deployment" in json.dumps(api.call("GET", "/openapi/v3/apis/apps/v1"))


def test_unknown_fields_are_named_when_asked_to(space):
    bad = a_config_map("it", unknown1="x")

    error = refusal(lambda: space.create(bad, fieldValidation="Strict"))

    assert error.code == 400
    assert 'strict decoding error: unknown field "unknown1"' in error.message
