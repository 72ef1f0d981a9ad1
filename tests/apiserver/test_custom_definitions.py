"""CustomResourceDefinitions: what is accepted, what their conditions say, how they appear and go."""

import asyncio

import orjson
import pytest

from apiserver.storage.memory import MemoryStore
from tests.apiserver.custom_kinds import (
    DEFINITIONS,
    SPEC,
    WIDGETS,
    a_definition,
    a_version,
    a_widget,
    declared,
    gone,
    told,
)
from tests.apiserver.local_api import MERGE, running_api

V2 = [a_version("v1", storage=False), a_version("v2")]


def said(definition):
    return {each["type"]: (each["status"], each["reason"]) for each in definition["status"]["conditions"]}


async def test_a_definition_is_established_and_its_kind_served(api):
    definition = await declared(api, a_definition())

    assert said(definition) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert definition["status"]["storedVersions"] == ["v1"]
    assert definition["status"]["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
        "categories": ["all"],
    }


async def test_a_kind_is_in_discovery_and_openapi_and_leaves_them(api):
    before = (await api.get("/openapi/v3")).json["paths"]
    await declared(api, a_definition(versions=V2))
    group = (await api.get("/apis/example.com")).json
    [widgets, *_] = (await api.get("/apis/example.com/v1")).json["resources"]
    aggregated = await api.get(
        "/apis", headers={"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    )
    document = (await api.get("/openapi/v3/apis/example.com/v2")).json
    second = (await api.get("/openapi/v2")).json

    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]
    assert (widgets["name"], widgets["singularName"], widgets["shortNames"], widgets["categories"]) == (
        "widgets",
        "widget",
        ["wd"],
        ["all"],
    )
    assert b'"name":"example.com"' in aggregated.body
    assert document["components"]["schemas"]["com.example.v2.Widget"]["properties"]["spec"] == SPEC
    assert "com.example.v1.Widget" in second["definitions"]

    await api.delete(f"{DEFINITIONS}/widgets.example.com")
    await gone(api, f"{DEFINITIONS}/widgets.example.com")

    assert (await api.get("/openapi/v3")).json["paths"] == before
    assert (await api.get("/apis/example.com/v1")).status == 404
    assert (await api.get(WIDGETS)).status == 404


async def test_names_in_use_are_refused_until_they_are_free(api):
    await declared(api, a_definition())
    clash = await declared(api, a_definition("gadgets", "Widget", short=["wd"]))

    assert said(clash) == {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    assert clash["status"]["conditions"][0]["message"] == '"WidgetList" is already in use'
    assert (await api.get("/apis/example.com/v1/gadgets")).status == 404

    await api.delete(f"{DEFINITIONS}/widgets.example.com")
    while said(clash)["Established"][0] != "True":
        clash = await told(api, "gadgets.example.com")
        await asyncio.sleep(0)
    assert (await api.get("/apis/example.com/v1/gadgets")).json["kind"] == "WidgetList"


COLUMN = a_version(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": ".a["}])
SAME_KIND = {"plural": "widgets", "kind": "Widget", "listKind": "Widget"}
OUT_OF_ORDER = [
    (
        {"group": "x.com"},
        'metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
    ),
    ({"scope": "World"}, 'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'),
    (
        {"versions": V2[:1]},
        'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version',
    ),
    (
        {"versions": [a_version(schema=None)]},
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
    ),
    ({"names": SAME_KIND}, 'spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'),
    (
        {"versions": [COLUMN]},
        'Columns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
    ),
]


@pytest.mark.parametrize(("change", "complaint"), OUT_OF_ORDER)
async def test_a_definition_out_of_order_is_refused(api, change, complaint):
    definition = a_definition()
    definition["spec"] |= change

    answer = await api.post(DEFINITIONS, definition)

    assert answer.status == 422
    assert complaint in answer.json["message"]


TEXT = {"type": "string"}
UNIQUE = {"type": "array", "items": TEXT, "uniqueItems": True}
KEYLESS = {"type": "array", "items": TEXT, "x-kubernetes-list-type": "map"}
BOTH = {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT}
NOT_STRUCTURAL = [
    ({"properties": {"a": TEXT}}, "type: Required value: must not be empty for specified object fields"),
    ({"type": "array"}, "items: Required value: must be specified"),
    (
        UNIQUE,
        "uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    ),
    (BOTH, "additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
    ({"type": "string", "pattern": "("}, 'pattern: Invalid value: "(": must be a valid regular expression'),
    (KEYLESS, "x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"),
    (
        {**TEXT, "x-kubernetes-int-or-string": True},
        "type: Forbidden: must be empty if x-kubernetes-int-or-string is true",
    ),
    ({"type": "object", "default": {"a": 1}}, 'default: Invalid value: {"a":1}: must not have unknown fields'),
    ({"type": "integer", "default": "a"}, 'default: Invalid value: "string": '),
    ({"type": "object", "anyOf": [{"type": "object"}]}, "anyOf[0].type: Forbidden: must be empty to be structural"),
    ({"type": "object", "$ref": "#/a"}, "$ref: Forbidden: $ref is not supported"),
]


@pytest.mark.parametrize(("spec", "complaint"), NOT_STRUCTURAL)
async def test_a_schema_that_is_not_structural_is_refused(api, spec, complaint):
    answer = await api.post(DEFINITIONS, a_definition(versions=[a_version(spec=spec)]))

    assert answer.status == 422
    assert f"spec.validation.openAPIV3Schema.properties[spec].{complaint}" in answer.json["message"]


@pytest.mark.parametrize("rubbish", [5, "x", [1], {"properties": 5}, {"type": 7}, {"items": {"properties": {"a": 1}}}])
async def test_rubbish_deep_in_a_schema_is_refused_in_words(api, rubbish):
    spec = {"type": "object", "additionalProperties": rubbish}

    assert (await api.post(DEFINITIONS, a_definition(versions=[a_version(spec=spec)]))).status in (400, 422)


async def test_what_is_for_life_stays(api):
    await declared(api, a_definition())
    change = {"spec": {"scope": "Cluster", "names": {"kind": "Gadget"}}}

    answer = await api.patch(f"{DEFINITIONS}/widgets.example.com", change, MERGE)

    assert answer.status == 422
    assert 'spec.scope: Invalid value: "Cluster": field is immutable' in answer.json["message"]
    assert 'spec.names.kind: Invalid value: "Gadget": field is immutable' in answer.json["message"]


async def test_a_version_in_which_objects_may_be_stored_stays_declared(api):
    path = f"{DEFINITIONS}/widgets.example.com"
    await declared(api, a_definition())
    moved = (await api.patch(path, {"spec": {"versions": V2}}, MERGE)).json
    refused = await api.patch(path, {"spec": {"versions": V2[1:]}}, MERGE)
    migrated = (await api.patch(f"{path}/status", {"status": {"storedVersions": ["v2"]}}, MERGE)).json
    dropped = await api.patch(path, {"spec": {"versions": V2[1:]}}, MERGE)

    assert (moved["status"]["storedVersions"], moved["metadata"]["generation"]) == (["v1", "v2"], 2)
    assert 'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; ' in refused.json["message"]
    assert migrated["status"]["storedVersions"] == ["v2"]
    assert dropped.status == 200


async def test_a_protected_group_needs_an_approval(api):
    definition = a_definition()
    definition["spec"]["group"] = "example.k8s.io"
    definition["metadata"]["name"] = "widgets.example.k8s.io"

    refused = await api.post(DEFINITIONS, definition)
    definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    allowed = await declared(api, definition)

    assert refused.status == 422
    assert said(allowed)["KubernetesAPIApprovalPolicyConformant"] == ("False", "UnapprovedAPI")


async def test_deleting_a_definition_deletes_and_finalizes_its_objects(api):
    path = f"{DEFINITIONS}/widgets.example.com"
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget("plain"))
    held = a_widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await api.made(WIDGETS, held)

    await api.delete(path)
    await gone(api, f"{WIDGETS}/plain")
    refused = await api.post(WIDGETS, a_widget("late"))
    terminating = said(await told(api, "widgets.example.com", "Terminating"))["Terminating"]
    await api.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": []}}, MERGE)
    await gone(api, path)

    assert terminating[0] == "True"
    assert refused.error == (
        405,
        "MethodNotAllowed",
        "create not allowed while custom resource definition is terminating",
    )


class Lasting(MemoryStore):
    """A store that outlives its servers."""

    async def close(self) -> None:
        return


async def test_definitions_and_objects_survive_a_restart_and_appear_on_other_servers():
    store = Lasting()
    async with running_api(store) as one, running_api(store) as other:
        await declared(one, a_definition())
        made = await one.made(WIDGETS, a_widget())
        seen = (await other.get(f"{WIDGETS}/a")).json
        async with running_api(store) as later:
            after = (await later.get(f"{WIDGETS}/a")).json
        await other.delete(f"{DEFINITIONS}/widgets.example.com")
        await gone(one, f"{WIDGETS}/a")

    assert seen == after == made


async def test_objects_that_outlived_their_definition_are_found_again(api):
    widget = a_widget("old")
    widget["metadata"] |= {"namespace": "default", "uid": "u", "creationTimestamp": "2026-11-23T00:00:00Z"}
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": widget["metadata"], "spec": {"size": 1}}
    await api.server.store.put("/registry/example.com/widgets/default/old", orjson.dumps(body), expected=0)

    await declared(api, a_definition())

    assert (await api.get(f"{WIDGETS}/old")).json["spec"] == {"size": 1, "color": "red"}


async def test_a_definition_that_nobody_can_read_stops_nobody(api):
    broken = {"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1"}
    broken["metadata"] = {"name": "odd.example.com", "uid": "u", "creationTimestamp": "2026-11-23T00:00:00Z"}
    broken |= {"spec": {"group": "example.com", "names": 5}, "status": {"conditions": []}}
    key = "/registry/apiextensions.k8s.io/customresourcedefinitions/odd.example.com"

    await api.server.store.put(key, orjson.dumps(broken), expected=0)
    await declared(api, a_definition())

    assert (await api.post(WIDGETS, a_widget())).status == 201


@pytest.mark.parametrize(
    ("group", "plural", "kind", "reason"),
    [
        ("apiregistration.k8s.io", "apiservices", "Foo", "PluralConflict"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "Foo", "PluralConflict"),
        ("networking.k8s.io", "foos", "Ingress", "ListKindConflict"),
    ],
)
async def test_no_definition_takes_the_name_of_a_built_in_kind(api, group, plural, kind, reason):
    definition = a_definition(plural, kind, versions=[a_version("v9")], group=group, scope="Cluster", short=[])
    note = {"api-approved.kubernetes.io": "unapproved, a test"}
    definition["metadata"] = {"name": f"{plural}.{group}", "annotations": note}

    found = await declared(api, definition)

    assert said(found)["NamesAccepted"] == ("False", reason)
    assert said(found)["Established"] == ("False", "NotAccepted")
    assert (await api.get(f"/apis/{group}/v9/{plural}")).status == 404
    await api.delete(f"{DEFINITIONS}/{plural}.{group}")
    await gone(api, f"{DEFINITIONS}/{plural}.{group}")
    assert (await api.get(f"/apis/{group}/v1")).status == 200
    assert (await api.get(DEFINITIONS)).status == 200
