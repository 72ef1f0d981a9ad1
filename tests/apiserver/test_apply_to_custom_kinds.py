"""Server-side apply of custom objects: their schema says how they divide, in each of their versions."""

from tests.apiserver.custom_kinds import WIDGETS, a_definition, a_version, declared
from tests.apiserver.local_api import Api
from tests.apiserver.test_server_side_apply import config, owners

NEXT = WIDGETS.replace("/v1/", "/v2/")


def widget(version: str = "v1", **fields: object) -> dict:
    return config("Widget", "w", f"example.com/{version}", **fields)


async def test_a_custom_object_is_shared_as_its_schema_says(api: Api):
    await declared(api, a_definition())
    await api.apply(f"{WIDGETS}/w", widget(spec={"size": 3, "parts": [{"name": "a", "count": 2}]}), "one")

    both = await api.apply(
        f"{WIDGETS}/w", widget(spec={"size": 3, "parts": [{"name": "b"}], "free": {"x": [1]}}), "two"
    )
    refused = await api.apply(f"{WIDGETS}/w", widget(spec={"size": 4, "parts": [{"name": "a", "count": 1}]}), "two")
    left = await api.apply(f"{WIDGETS}/w", widget(), "two")

    parts = {'k:{"name":"b"}': {".": {}, "f:name": {}}}
    assert owners(both)["two Apply"] == {"f:spec": {"f:size": {}, "f:parts": parts, "f:free": {"f:x": {}}}}
    lost = [".spec.size", '.spec.parts[name="a"].count']
    assert [cause["field"] for cause in refused.json["details"]["causes"]] == lost
    assert left.json["spec"] == {"size": 3, "color": "red", "parts": [{"name": "a", "count": 2}]}


async def test_an_update_of_a_custom_object_owns_the_structs_it_makes(api: Api):
    await declared(api, a_definition())
    body = widget(spec={"size": 3, "free": {"a": {"b": 1}}})

    made = await api.post(WIDGETS, body, headers={"user-agent": "kopf/1.0"})

    free = {".": {}, "f:a": {".": {}, "f:b": {}}}
    assert owners(made) == {"kopf Update": {"f:spec": {".": {}, "f:size": {}, "f:color": {}, "f:free": free}}}


async def test_status_and_scale_of_a_custom_object_are_applied_on_their_own(api: Api):
    await declared(api, a_definition())
    await api.apply(f"{WIDGETS}/w", widget(spec={"size": 3, "replicas": 1}), "one")
    scale = config("Scale", "w", "autoscaling/v1", spec={"replicas": 5})

    refused = await api.apply(f"{WIDGETS}/w/scale", scale, "hpa")
    forced = await api.apply(f"{WIDGETS}/w/scale", scale, "hpa", force="true")
    status = await api.apply(f"{WIDGETS}/w/status", widget(spec={"size": 9}, status={"ready": "yes"}), "operator")

    assert refused.json["message"].endswith('conflict with "one": .spec.replicas')
    assert forced.json["spec"] == {"replicas": 5}
    assert (status.json["spec"]["size"], status.json["status"]) == (3, {"ready": "yes"})
    assert owners(status)["operator Apply"] == {"f:status": {"f:ready": {}}}
    assert owners(status)["one Apply"] == {"f:spec": {"f:size": {}}}


async def test_a_manager_may_move_to_another_version(api: Api):
    await declared(api, a_definition(versions=[a_version(), a_version("v2", storage=False)]))
    await api.apply(f"{WIDGETS}/w", widget(spec={"size": 3, "replicas": 2}), "one")

    other = await api.apply(f"{NEXT}/w", widget("v2", spec={"size": 4}), "two")
    moved = await api.apply(f"{NEXT}/w", widget("v2", spec={"size": 3}), "one")

    assert other.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.size'
    assert "replicas" not in moved.json["spec"]
    assert [(each["apiVersion"], each["fieldsV1"]) for each in moved.json["metadata"]["managedFields"]] == [
        ("example.com/v2", {"f:spec": {"f:size": {}}})
    ]


async def test_a_field_that_the_schema_does_not_have_cannot_be_applied(api: Api):
    await declared(api, a_definition())

    answer = await api.apply(f"{WIDGETS}/w", widget(spec={"size": 3, "shape": "round"}))

    who = "failed to create typed patch object (/w; example.com/v1, Kind=Widget)"
    assert answer.error == (400, "BadRequest", f"{who}: .spec.shape: field not declared in schema")
