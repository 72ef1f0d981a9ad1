"""Custom objects go the way of built-in ones: validation, defaults, subresources, tables, watches, versions."""

import orjson
import pytest

from tests.apiserver.custom_kinds import DEFINITIONS, SPEC, WIDGETS, a_definition, a_version, a_widget, declared
from tests.apiserver.local_api import JSON_PATCH, MERGE, STRATEGIC, TABLE

DEFINITION = f"{DEFINITIONS}/widgets.example.com"


async def test_an_object_is_pruned_defaulted_and_numbered(api):
    await declared(api, a_definition())

    answer = await api.post(
        WIDGETS, a_widget(port="http", free={"x": {"y": 1}}, parts=[{"name": "a"}], extra=1, color=None)
    )

    assert answer.status == 201
    assert answer.json["spec"] == {
        "size": 3,
        "port": "http",
        "free": {"x": {"y": 1}},
        "parts": [{"name": "a", "count": 1}],
        "color": "red",
    }
    assert answer.json["metadata"]["generation"] == 1
    assert answer.all("warning") == ['299 - "unknown field \\"spec.extra\\""']


async def test_everything_wrong_is_told_at_once(api):
    await declared(api, a_definition())

    answer = await api.post(WIDGETS, a_widget(size="big", color="blue", parts=[{"name": "a"}, {"name": "a"}, {}]))

    assert answer.json["message"] == (
        'Widget.example.com "a" is invalid: ['
        'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string", '
        'spec.color: Unsupported value: "blue": supported values: "green", "red", '
        'spec.parts[1]: Duplicate value: {"name":"a"}, '
        "spec.parts[2].name: Required value]"
    )


async def test_strict_validation_refuses_unknown_fields(api):
    await declared(api, a_definition())

    answer = await api.post(WIDGETS, a_widget(extra=1), query={"fieldValidation": "Strict"})

    assert answer.error == (
        400,
        "BadRequest",
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.extra"',
    )


async def test_status_and_generation_follow_the_subresource(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, {**a_widget(), "status": {"ready": "no"}})

    ignored = (await api.patch(f"{WIDGETS}/a", {"status": {"ready": "yes"}}, MERGE)).json
    written = (await api.patch(f"{WIDGETS}/a/status", {"spec": {"size": 9}, "status": {"ready": "yes"}}, MERGE)).json
    changed = (await api.patch(f"{WIDGETS}/a", [{"op": "replace", "path": "/spec/size", "value": 4}], JSON_PATCH)).json

    assert ("status" in ignored, ignored["metadata"]["generation"]) == (False, 1)
    assert (written["spec"]["size"], written["status"], written["metadata"]["generation"]) == (3, {"ready": "yes"}, 1)
    assert (changed["spec"]["size"], changed["status"], changed["metadata"]["generation"]) == (4, {"ready": "yes"}, 2)


async def test_without_a_status_subresource_a_status_is_a_field_like_others(api):
    await declared(api, a_definition(versions=[a_version(subresources=None)]))
    made = await api.made(WIDGETS, {**a_widget(), "status": {"ready": "no"}})
    changed = (await api.patch(f"{WIDGETS}/a", {"status": {"ready": "yes"}}, MERGE)).json

    assert (made["status"], changed["status"], changed["metadata"]["generation"]) == (
        {"ready": "no"},
        {"ready": "yes"},
        2,
    )
    assert (await api.get(f"{WIDGETS}/a/status")).status == 404


async def test_a_scale_reads_and_writes_the_declared_paths(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget(replicas=2))
    await api.patch(f"{WIDGETS}/a/status", {"status": {"replicas": 1, "selector": "app=a"}}, MERGE)

    scale = (await api.get(f"{WIDGETS}/a/scale")).json
    scaled = (await api.patch(f"{WIDGETS}/a/scale", {"spec": {"replicas": 5}}, MERGE)).json

    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "app=a"})
    assert scaled["spec"] == {"replicas": 5}
    assert (await api.get(f"{WIDGETS}/a")).json["spec"]["replicas"] == 5


async def test_a_table_has_the_declared_columns(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget())

    table = (await api.get(WIDGETS, headers={"accept": TABLE})).json

    assert [(each["name"], each["type"], each["priority"]) for each in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Ready", "string", 1),
        ("Age", "date", 0),
    ]
    assert table["rows"][0]["cells"][:3] == ["a", 3, None]


async def test_declared_fields_select_lists_and_watches(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget("red"))
    await api.made(WIDGETS, a_widget("green", color="green"))

    red = (await api.get(WIDGETS, query={"fieldSelector": "spec.color=red"})).json["items"]
    refused = await api.get(WIDGETS, query={"fieldSelector": "spec.size=3"})
    async with api.watch(WIDGETS, fieldSelector="spec.color=green") as stream:
        assert await stream.take(1) == [("ADDED", "green")]
        await api.patch(f"{WIDGETS}/green", {"spec": {"color": "red"}}, MERGE)
        assert await stream.take(1) == [("DELETED", "green")]

    assert [each["metadata"]["name"] for each in red] == ["red"]
    assert refused.error == (400, "BadRequest", "field label not supported: spec.size")


async def test_a_strategic_patch_has_no_meaning_here(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget())

    assert (await api.patch(f"{WIDGETS}/a", {}, STRATEGIC)).status == 415


async def test_an_update_must_name_the_version_it_changes(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget())

    answer = await api.put(f"{WIDGETS}/a", a_widget(size=4))

    assert answer.status == 422
    assert "metadata.resourceVersion" in answer.json["message"]


async def test_versions_show_the_same_object_by_their_own_schemas(api):
    second = {**SPEC, "properties": {**SPEC["properties"], "shape": {"type": "string", "default": "round"}}}
    await declared(api, a_definition(versions=[a_version(), a_version("v2", storage=False, spec=second)]))
    other = WIDGETS.replace("v1", "v2")

    made = await api.made(other, a_widget(version="v2", shape="flat"))
    first = (await api.get(f"{WIDGETS}/a")).json
    [listed] = (await api.get(other)).json["items"]

    assert (made["apiVersion"], made["spec"]["shape"]) == ("example.com/v2", "flat")
    assert (first["apiVersion"], first["spec"]) == ("example.com/v1", {"size": 3, "color": "red"})
    # Whoever reads an item of a list without knowing its kind finds it there, as nowhere but in custom lists.
    assert (listed["apiVersion"], listed["kind"]) == ("example.com/v2", "Widget")
    # The storage version does not know the shape, so it was lost, and the default of v2 stands in.
    assert listed["spec"]["shape"] == "round"


async def test_new_defaults_and_a_new_storage_version_reach_stored_objects(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget(color="green"))
    later = {**SPEC, "properties": {"size": SPEC["properties"]["size"], "weight": {"type": "integer", "default": 7}}}
    versions = [a_version(storage=False), a_version("v10", spec=later)]

    await api.patch(DEFINITION, {"spec": {"versions": versions}}, MERGE)
    shown = (await api.get(f"{WIDGETS.replace('v1', 'v10')}/a")).json
    patched = (await api.patch(f"{WIDGETS.replace('v1', 'v10')}/a", {"spec": {"size": 5}}, MERGE)).json

    assert (shown["apiVersion"], shown["spec"]) == ("example.com/v10", {"size": 3, "weight": 7})
    assert (patched["spec"], patched["metadata"]["generation"]) == ({"size": 5, "weight": 7}, 2)


async def test_who_changes_nothing_has_an_object_written_in_the_new_storage_version(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget())
    await api.patch(DEFINITION, {"spec": {"versions": [a_version(storage=False), a_version("v2")]}}, MERGE)
    path = f"{WIDGETS.replace('v1', 'v2')}/a"

    written = [(await api.patch(path, {}, MERGE)).json["metadata"] for _ in range(2)]

    entry = await api.server.store.get("/registry/example.com/widgets/default/a")
    assert orjson.loads(entry.value)["apiVersion"] == "example.com/v2"
    assert [each["resourceVersion"] for each in written] == [str(entry.revision)] * 2
    assert written[0]["generation"] == 1


async def test_a_deprecated_version_says_so(api):
    versions = [a_version(deprecated=True, deprecationWarning="use v2 instead")]
    await declared(api, a_definition(versions=versions))

    answer = await api.post(WIDGETS, a_widget())

    assert answer.all("warning") == ['299 - "use v2 instead"']


async def test_what_did_not_change_is_not_judged_again(api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget(size=9, parts=[{"name": "a", "count": 9}]))
    strict = {**SPEC, "properties": {**SPEC["properties"], "size": {"type": "integer", "maximum": 5}}}
    await api.patch(DEFINITION, {"spec": {"versions": [a_version(spec=strict)]}}, MERGE)

    kept = await api.patch(f"{WIDGETS}/a", {"spec": {"color": "green"}}, MERGE)
    refused = await api.patch(f"{WIDGETS}/a", {"spec": {"size": 8}}, MERGE)

    assert kept.status == 200
    assert refused.json["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: 8: spec.size in body should be less than or equal to 5",
            "field": "spec.size",
        }
    ]


@pytest.mark.parametrize("scope", ["Cluster", "Namespaced"])
async def test_pages_watches_and_deletion_are_those_of_all_kinds(api, scope):
    await declared(api, a_definition(scope=scope))
    place = WIDGETS if scope == "Namespaced" else "/apis/example.com/v1/widgets"
    for name in ("a", "b", "c"):
        await api.made(place, a_widget(name))

    page = (await api.get(place, query={"limit": 2})).json
    rest = (await api.get(place, query={"limit": 2, "continue": page["metadata"]["continue"]})).json
    async with api.watch(place, resourceVersion=page["metadata"]["resourceVersion"]) as stream:
        await api.delete(place)
        assert await stream.take(3) == [("DELETED", "a"), ("DELETED", "b"), ("DELETED", "c")]

    assert [each["metadata"]["name"] for each in page["items"] + rest["items"]] == ["a", "b", "c"]


async def test_a_kind_that_is_called_like_a_review_is_stored_like_any_other(api):
    await declared(api, a_definition("tokenreviews", "TokenReview"))
    path = "/apis/example.com/v1/namespaces/default/tokenreviews"

    made = await api.post(path, {"metadata": {"name": "a"}, "spec": {"size": 1}})

    assert (made.status, (await api.get(f"{path}/a")).json) == (201, made.json)
