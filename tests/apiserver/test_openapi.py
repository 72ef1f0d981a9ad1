"""OpenAPI v3: complete documents, and real kubectl explaining, validating and patching with nothing else to go by."""

import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes.client
import pytest

from apiserver import discovery, openapi_v2
from apiserver.openapi import document, etag, index
from apiserver.openapi_paths import KindRow, paths_of
from apiserver.patch.strategic import strategic_merge
from wherry.machinery.schema import schema_for, walk
from wherry.machinery.schema.definitions import kinds

POD = KindRow("", "v1", "Pod", "pods", True)
DEPLOYMENT = KindRow("apps", "v1", "Deployment", "deployments", True)
REVIEW = KindRow("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False)
BOAT_SCHEMA = {
    "type": "object",
    "description": "A boat on the river.",
    "properties": {"spec": {"type": "object", "properties": {"oars": {"type": "integer", "description": "How many."}}}},
}
BOAT = KindRow("river.example.com", "v1", "Boat", "boats", True, BOAT_SCHEMA)
SERVED = {row.root: [row] for row in (POD, DEPLOYMENT, REVIEW, BOAT)}


def built(row: KindRow, **options) -> dict:
    return json.loads(document(row.root, [row], **options))


def test_the_index_names_every_document_under_its_hash():
    tag = etag("apis/apps/v1", [DEPLOYMENT])

    assert index(SERVED)["paths"]["apis/apps/v1"] == {"serverRelativeURL": f"/openapi/v3/apis/apps/v1?hash={tag}"}
    assert set(index(SERVED)["paths"]) == {
        "api/v1",
        "apis/apps/v1",
        "apis/authorization.k8s.io/v1",
        "apis/river.example.com/v1",
    }


def test_the_hash_changes_with_the_schema():
    taller = BOAT._replace(schema={**BOAT_SCHEMA, "description": "taller"})

    assert etag("apis/river.example.com/v1", [BOAT]) != etag("apis/river.example.com/v1", [taller])
    assert document("apis/river.example.com/v1", [BOAT]) != document("apis/river.example.com/v1", [taller])


@pytest.mark.parametrize("descriptions", [True, False])
def test_every_reference_leads_somewhere(descriptions):
    rows = [KindRow("", "v1", kind, kind.lower(), True) for version, kind in kinds() if version == "v1"]

    text = document("api/v1", rows, descriptions=descriptions).decode()

    schemas = json.loads(text)["components"]["schemas"]
    mentioned = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert mentioned - set(schemas) == set()


def test_merge_keys_and_kinds_are_in_the_schemas():
    schemas = built(POD)["components"]["schemas"]

    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-list-map-keys"]) == ("name", ["name"])
    assert schemas["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"] == [
        {"group": "", "version": "v1", "kind": "Pod"}
    ]


def test_a_reference_with_company_stands_in_all_of():
    schemas = built(DEPLOYMENT, descriptions=False)["components"]["schemas"]

    assert schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy"}],
        "x-kubernetes-patch-strategy": "retainKeys",
    }


@pytest.mark.parametrize(
    ("row", "path", "is_strategic"),
    [
        (POD, "/api/v1/namespaces/{namespace}/pods/{name}", True),
        (REVIEW, "/apis/authorization.k8s.io/v1/subjectaccessreviews/{name}", True),
        (BOAT, "/apis/river.example.com/v1/namespaces/{namespace}/boats/{name}", False),
    ],
)
def test_the_patch_operation_says_what_the_server_understands(row, path, is_strategic):
    patch = built(row)["paths"][path]["patch"]

    assert patch["x-kubernetes-group-version-kind"] == {"group": row.group, "version": "v1", "kind": row.kind}
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert ("application/strategic-merge-patch+json" in patch["requestBody"]["content"]) is is_strategic


def test_operations_are_named_as_client_generators_expect():
    # The Python client has no class for usage metrics, for groups of pods, for a review that only kubectl 1.27 asks for
    # and for our own kinds, and no reason to patch what cannot be patched.
    unknown = ("metrics", "authentication.k8s.io/v1beta1", "scheduling.k8s.io/v1beta1", "wherry.dev")
    served = discovery.openapi_rows(()).items()
    rows = [row for root, rows in served for row in rows if not any(word in root for word in unknown)]
    operations = [each for row in rows for each in operations_of(row) if "patch" in row.verbs or "patch" not in each[1]]

    assert [each for each in operations if not is_known_to_the_python_client(*each)] == []


def operations_of(row: KindRow) -> list[tuple[str, str]]:
    items = [{**item, "parameters": {}} for item in paths_of(row).values()]
    return [(each["tags"][0], each["operationId"]) for item in items for each in item.values() if each]


def is_known_to_the_python_client(tag: str, operation: str) -> bool:
    group, _, version = tag.partition("_")
    api = f"{group[0].upper()}{group[1:]}{version.title()}"
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation.replace(api, "", 1))
    return hasattr(getattr(kubernetes.client, f"{api}Api", None), words.lower())


def test_sentences_are_there_only_where_they_are_wanted():
    pytest.importorskip("kubernetes_validate")

    pod, bare = (built(POD, descriptions=wanted)["components"]["schemas"] for wanted in (True, False))

    assert "collection of containers" in pod["io.k8s.api.core.v1.Pod"]["description"]
    assert '"description":"' not in json.dumps(bare, separators=(",", ":"))


def test_custom_kinds_have_the_sentences_about_what_every_kind_has():
    pytest.importorskip("kubernetes_validate")

    schemas = built(BOAT)["components"]["schemas"]

    boat = schemas["com.example.river.v1.Boat"]["properties"]
    assert boat["apiVersion"]["description"].startswith("APIVersion defines")
    assert boat["metadata"]["description"].startswith("Standard object's metadata")
    assert (
        "is a timestamp"
        in schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["creationTimestamp"]["description"]
    )


def test_the_older_document_leaves_out_what_it_has_no_word_for():
    port = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    open_ended = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"a": {"type": "string"}},
    }
    fields = {"port": port, "open": open_ended, "name": {"type": "string", "nullable": True}}
    row = BOAT._replace(schema={"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}})

    definitions = json.loads(openapi_v2.document({row.root: [row]}))["definitions"]

    assert definitions["com.example.river.v1.Boat"]["properties"]["spec"]["properties"] == {
        "port": {"x-kubernetes-int-or-string": True},
        "open": {"x-kubernetes-preserve-unknown-fields": True},
        "name": {"type": "string"},
    }


def test_the_older_document_says_nothing_of_a_custom_kind_in_which_any_field_may_be():
    open_ended = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    row = BOAT._replace(schema=open_ended)

    definitions = json.loads(openapi_v2.document({row.root: [row]}))["definitions"]

    boat = {"group": "river.example.com", "version": "v1", "kind": "Boat"}
    assert definitions["com.example.river.v1.Boat"] == {
        "type": "object",
        "x-kubernetes-group-version-kind": [boat],
    }


class Stub(BaseHTTPRequestHandler):
    """As much of an API server as kubectl needs to find, read and patch one Deployment."""

    deployment: dict
    sent: list

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0].strip("/")
        root = path.removeprefix("openapi/v3/")
        if path == "api":
            return self.answer({"kind": "APIVersions", "versions": ["v1"]})
        if path == "apis":
            groups = [a_group(rows[0]) for rows in SERVED.values() if rows[0].group]
            return self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        if path == "openapi/v3":
            return self.answer(index(SERVED))
        if root in SERVED:
            return self.answer(resources(root) if path == root else json.loads(document(root, SERVED[root])))
        return (
            self.answer(self.deployment) if path.endswith("deployments/web") else self.answer({"kind": "Status"}, 404)
        )

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).sent.append((self.path.partition("?")[2], self.headers["Content-Type"], patch))
        merged = strategic_merge(self.deployment, patch, schema_for("apps/v1", "Deployment"))
        type(self).deployment = walk(merged, schema_for("apps/v1", "Deployment")).value
        self.answer(self.deployment)

    def answer(self, body, code=200):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def a_group(row: KindRow) -> dict:
    return {"name": row.group, "versions": [{"groupVersion": row.api_version, "version": row.version}]}


def resources(root: str) -> dict:
    row = SERVED[root][0]
    listed = {"name": row.plural, "singularName": row.kind.lower(), "namespaced": row.namespaced, "kind": row.kind}
    listed["verbs"] = ["create", "get", "list", "patch"]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": row.api_version, "resources": [listed]}


def a_deployment(image: str) -> dict:
    containers = [{"name": "sidecar", "image": "s:1"}, {"name": "web", "image": image}]
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": containers}}}
    metadata = {"name": "web", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@pytest.fixture
def stub():
    fresh = type("Fresh", (Stub,), {"deployment": a_deployment("w:1"), "sent": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), fresh) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def kubectl(stub, tmp_path):
    beside = Path(sys.executable).with_name("kubectl")
    command = str(beside) if beside.exists() else shutil.which("kubectl")
    if command is None:
        pytest.skip("no kubectl on this machine")

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess:
        target = ["--server", f"http://127.0.0.1:{stub.server_port}", "--cache-dir", str(tmp_path)]
        environment = {"HOME": str(tmp_path), "KUBECONFIG": "/dev/null"}
        return subprocess.run(
            [command, *target, *args], input=stdin, capture_output=True, text=True, timeout=60, env=environment
        )

    return run


def test_kubectl_explains_a_field(kubectl):
    told = kubectl("explain", "deployment.spec.strategy").stdout

    assert "FIELD: strategy <DeploymentStrategy>" in told
    assert "rollingUpdate\t<RollingUpdateDeployment>" in told


def test_kubectl_explains_a_custom_kind(kubectl):
    told = kubectl("explain", "boats.spec").stdout

    assert "GROUP:      river.example.com" in told
    assert "oars\t<integer>" in told
    assert "How many." in told


def test_kubectl_apply_computes_its_patch_from_the_document(kubectl, stub):
    changed = a_deployment("w:2")

    done = kubectl("apply", "-f", "-", stdin=json.dumps(changed))

    query, content_type, patch = stub.RequestHandlerClass.sent[0]
    assert (done.returncode, "error calculating patch" in done.stderr) == (0, False)
    assert (content_type, "fieldValidation=Strict" in query) == ("application/strategic-merge-patch+json", True)
    assert patch["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "w:2"}]
    assert stub.RequestHandlerClass.deployment["spec"] == changed["spec"]
