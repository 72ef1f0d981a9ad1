"""Discovery, OpenAPI, version and health: what clients ask before anything else."""

from typing import Any

import pytest

from tests.apiserver.local_api import Api, running_api
from wherry.machinery.protobuf.wire import Reader
from wherry.machinery.resource import all_kinds

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


async def test_the_core_group_is_listed_the_old_way(api: Api):
    answer = await api.get("/api")

    assert answer.json == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
    }


async def test_groups_are_listed_in_order_of_preference_without_the_core(api: Api):
    groups = (await api.get("/apis")).json["groups"]

    names = [group["name"] for group in groups]
    assert names[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert "" not in names
    version = {"groupVersion": "apps/v1", "version": "v1"}
    assert groups[1] == {"name": "apps", "versions": [version], "preferredVersion": version}
    assert (await api.get("/apis/apps")).json == {"kind": "APIGroup", "apiVersion": "v1", **groups[1]}


async def test_every_resource_is_listed_with_what_it_offers(api: Api):
    listed = (await api.get("/api/v1")).json

    rows = {row["name"]: row for row in listed["resources"]}
    assert (listed["kind"], listed["groupVersion"], "apiVersion" in listed) == ("APIResourceList", "v1", False)
    assert rows["pods"]["shortNames"] == ["po"]
    assert rows["pods"]["categories"] == ["all"]
    assert rows["namespaces"]["verbs"] == ["create", "delete", "get", "list", "patch", "update", "watch"]
    assert rows["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }
    assert {"pods/binding", "pods/log", "pods/exec", "pods/attach", "serviceaccounts/token", "bindings"} <= set(rows)


async def test_a_group_version_says_its_api_version(api: Api):
    listed = (await api.get("/apis/apps/v1")).json

    scale = next(row for row in listed["resources"] if row["name"] == "deployments/scale")
    assert (listed["apiVersion"], listed["groupVersion"]) == ("v1", "apps/v1")
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


@pytest.mark.parametrize(("accept", "version"), [(V2, "v2"), (V2BETA1, "v2beta1"), (f"{V2},{V2BETA1}", "v2")])
@pytest.mark.parametrize("path", ["/api", "/apis"])
async def test_aggregated_discovery_repeats_its_parameters(api: Api, path: str, accept: str, version: str):
    answer = await api.get(path, headers={"accept": f"{accept},application/json"})

    assert (answer.json["kind"], answer.json["apiVersion"]) == (
        "APIGroupDiscoveryList",
        f"apidiscovery.k8s.io/{version}",
    )
    assert (
        answer.header("content-type") == f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    )
    assert answer.header("vary") == "Accept"


async def test_aggregated_discovery_names_kinds_and_subresources(api: Api):
    (core,) = (await api.get("/api", headers={"accept": V2})).json["items"]

    pods = next(row for row in core["versions"][0]["resources"] if row["resource"] == "pods")
    assert (core["metadata"], core["versions"][0]["freshness"]) == ({}, "Current")
    assert pods["responseKind"] == {"group": "", "version": "v1", "kind": "Pod"} | {"version": ""}
    assert (pods["scope"], pods["singularResource"], pods["shortNames"]) == ("Namespaced", "pod", ["po"])
    assert {sub["subresource"] for sub in pods["subresources"]} >= {"status", "log", "exec", "eviction", "binding"}


@pytest.mark.parametrize("path", ["/api", "/apis"])
async def test_unchanged_discovery_is_a_304(api: Api, path: str):
    etag = (await api.get(path, headers={"accept": V2})).header("etag")

    answer = await api.get(path, headers={"accept": V2, "if-none-match": etag})

    assert (answer.status, answer.body, answer.header("etag")) == (304, b"", etag)


async def test_both_forms_of_discovery_agree(api: Api):
    old = [row["name"] for row in (await api.get("/apis/apps/v1")).json["resources"]]
    groups = (await api.get("/apis", headers={"accept": V2})).json["items"]

    apps = next(group for group in groups if group["metadata"]["name"] == "apps")["versions"][0]["resources"]
    new = [
        name
        for row in apps
        for name in (row["resource"], *(f"{row['resource']}/{s['subresource']}" for s in row.get("subresources", ())))
    ]
    assert sorted(old) == sorted(new)


@pytest.mark.parametrize("path", ["/api/", "/apis/", "/version/", "/api/v1/", "/apis/apps/v1/"])
async def test_a_trailing_slash_is_no_redirect(api: Api, path: str):
    assert (await api.get(path)).status == 200


@pytest.mark.parametrize("path", ["/apis/nosuch/v1", "/apis/apps/v9", "/api/v9", "/apis/nosuch/v1/things", "/nosuch"])
async def test_an_unknown_path_is_plain_text(api: Api, path: str):
    answer = await api.get(path)

    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.header("content-type").startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nosuch",
        "/apis/apps/v1/namespaces/default/nosuch/x",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/nodes/n",
        "/api/v1/pods/p",
        "/api/v1/namespaces/default/pods/p/nosuch",
    ],
)
async def test_an_unknown_resource_is_a_status(api: Api, path: str):
    answer = await api.get(path)

    message = "the server could not find the requested resource"
    assert (answer.error, answer.json["details"]) == ((404, "NotFound", message), {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"),
        ("PUT", "/api/v1/namespaces/default/pods"),
        ("PATCH", "/api/v1/namespaces/default/pods"),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces/default/pods/p"),
        ("BREW", "/api/v1/namespaces/default/pods"),
        ("GET", "/api/v1/namespaces/default/bindings"),
        ("POST", "/api/v1/namespaces/default/pods/p/status"),
    ],
)
async def test_a_verb_that_is_not_offered_is_a_405(api: Api, method: str, path: str):
    answer = await api.request(method, path, {})

    message = "the server does not allow this method on the requested resource"
    assert (answer.error, answer.json["details"]) == ((405, "MethodNotAllowed", message), {})


async def test_every_group_version_has_an_openapi_document(api: Api):
    index = (await api.get("/openapi/v3", query={"timeout": "32s"})).json["paths"]

    expected = {cls.kind.root.lstrip("/") for cls in all_kinds() if cls.kind.verbs}
    assert set(index) == expected


async def test_an_openapi_document_lives_as_long_as_its_hash(api: Api):
    url = (await api.get("/openapi/v3")).json["paths"]["apis/apps/v1"]["serverRelativeURL"]
    path, _, wanted = url.partition("?hash=")

    right = await api.get(path, query={"hash": wanted})
    wrong = await api.get(path, query={"hash": "0"})
    known = await api.get(path, headers={"if-none-match": right.header("etag")})

    assert (right.status, right.header("cache-control"), right.json["openapi"]) == (200, "public, immutable", "3.0.0")
    assert (wrong.status, wrong.header("location")) == (301, url)
    assert (known.status, known.body) == (304, b"")


async def test_the_oldest_kubectl_gets_its_swagger(api: Api):
    accept = {"accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    answer = await api.get("/openapi/v2", headers=accept)
    known = await api.get("/openapi/v2", headers={**accept, "if-none-match": answer.header("etag")})

    assert answer.header("content-type") == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert (known.status, known.header("content-type")) == (304, answer.header("content-type"))
    parts = [(number, bytes(payload)) for number, _, payload in Reader().fields(answer.body)]
    definitions = {bytes(name): bytes(node) for name, node in map(pair, Reader().fields(dict(parts)[9]))}
    assert [number for number, _ in parts] == [1, 2, 8, 9]
    # type {value: [string]} as field 22, and nothing else
    assert definitions[b"io.k8s.apimachinery.pkg.api.resource.Quantity"] == b"\xb2\x01\x08\x0a\x06string"


def pair(field: Any) -> list[Any]:
    """Name and value of an entry."""
    return [payload for _, _, payload in Reader().fields(field[2])]


async def test_older_clients_get_one_document_for_all_kinds(api: Api):
    answer = await api.get("/openapi/v2", headers={"accept": "application/json"})
    known = await api.get("/openapi/v2", headers={"if-none-match": answer.header("etag")})

    pod = answer.json["definitions"]["io.k8s.api.core.v1.Pod"]
    assert (answer.json["swagger"], known.status) == ("2.0", 304)
    assert pod["properties"]["spec"] == {"$ref": "#/definitions/io.k8s.api.core.v1.PodSpec"}
    assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}" in answer.json["paths"]


async def test_the_version_is_all_strings_and_semantic(api: Api):
    version = (await api.get("/version")).json

    assert all(isinstance(value, str) for value in version.values())
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")
    keys = {"major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler"}
    assert keys | {"platform"} <= set(version)


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
async def test_everybody_may_ask_how_it_is(api: Api, path: str):
    assert (await api.get(path, user=None)).status == 200


async def test_health_can_be_told_at_length(api: Api):
    answer = await api.get("/readyz", query={"verbose": ""})
    one = await api.get("/readyz/ping")

    lines = answer.body.decode().splitlines()
    assert lines[0] == "[+]ping ok"
    assert lines[-1] == "readyz check passed"
    assert (one.status, one.body) == (200, b"ok")


async def test_a_server_that_is_leaving_is_alive_but_not_ready():
    async with running_api() as api:
        api.server.end_watches()

        live, ready = await api.get("/livez"), await api.get("/readyz")
        excluded = await api.get("/readyz", query={"exclude": "shutdown"})

    assert (live.status, ready.status, excluded.status) == (200, 500, 200)
    assert b"[-]shutdown failed" in ready.body
