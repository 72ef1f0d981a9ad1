"""PATCH: three kinds of patches on stored objects, and what none of them may do."""

import orjson
import pytest

from apiserver.storage import open_store
from apiserver.writing.patch_body import MAX_OPERATIONS
from tests.apiserver.local_api import APPLY, APPS, CORE, JSON_PATCH, MERGE, STRATEGIC, Api, running_api
from tests.apiserver.test_objects import MAPS, a_deployment, a_map

WEB = f"{APPS}/deployments/web"


async def test_a_merge_patch_sets_and_removes(api: Api):
    await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", {"data": {"k": None, "l": "w"}})

    assert (answer.status, answer.json["data"]) == (200, {"l": "w"})


async def test_a_json_patch_tests_and_replaces(api: Api):
    await api.made(MAPS, a_map())
    steps = [{"op": "test", "path": "/data/k", "value": "v"}, {"op": "replace", "path": "/data/k", "value": "w"}]

    answer = await api.patch(f"{MAPS}/a", steps, JSON_PATCH)

    assert (answer.status, answer.json["data"]) == (200, {"k": "w"})


async def test_a_strategic_patch_merges_containers_by_name(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    containers = [{"name": "d", "image": "other"}, {"name": "c", "image": "newer"}]

    answer = await api.patch(WEB, {"spec": {"template": {"spec": {"containers": containers}}}}, STRATEGIC)

    merged = answer.json["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in merged] == [("d", "other"), ("c", "newer")]
    assert answer.json["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("type", "patch", "words"),
    [
        (
            JSON_PATCH,
            {},
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (JSON_PATCH, ["add"], "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        (JSON_PATCH, [{"op": 1}], "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        (MERGE, [], "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (APPLY, "text", "json: cannot unmarshal string into Go value of type map[string]interface {}"),
    ],
)
async def test_a_patch_of_another_shape_is_refused_in_gos_words(api: Api, type: str, patch: object, words: str):
    await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", patch, type, query={"fieldManager": "m"})

    assert (answer.status, answer.json["message"].endswith(words)) == (400, True)


async def test_who_wants_no_validation_is_told_less_about_operations(api: Api):
    await api.made(MAPS, a_map())
    query = {"fieldValidation": "Ignore"}

    answer = await api.patch(f"{MAPS}/a", ["add"], JSON_PATCH, query=query)
    failed = await api.patch(f"{MAPS}/a", [{"op": 1}], JSON_PATCH, query=query)

    words = "json: cannot unmarshal string into Go value of type jsonpatch.Operation"
    assert (answer.error, failed.status) == ((400, "BadRequest", words), 422)


async def test_a_patch_of_no_operations_changes_nothing(api: Api):
    made = await api.made(MAPS, a_map())

    assert (await api.patch(f"{MAPS}/a", b"null", JSON_PATCH)).json == made


@pytest.mark.parametrize("type", [MERGE, STRATEGIC])
async def test_what_nobody_can_read_once_it_is_patched_is_a_422_about_the_patch(api: Api, type: str):
    await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", {"data": 5}, type)

    why = "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string"
    assert answer.error == (422, "Invalid", f' "" is invalid: patch: Invalid value: "{{\\"data\\":5}}": {why}')
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["patch"]


@pytest.mark.parametrize(
    ("type", "patch", "problem"),
    [
        (MERGE, b'{"data":{"k":"1","k":"2"}}', 'duplicate field "data.k"'),
        (JSON_PATCH, b'[{"op":"test","path":"/x","new":1}]', 'json patch unknown field "[0].new"'),
        (JSON_PATCH, b'[{"op":"add","op":"test","path":"/x"}]', 'json patch duplicate field "[0].op"'),
    ],
)
async def test_how_a_patch_is_written_is_validated_too(api: Api, type: str, patch: bytes, problem: str):
    await api.made(MAPS, a_map())

    strict = await api.patch(f"{MAPS}/a", patch, type, query={"fieldValidation": "Strict"})
    warned = await api.patch(f"{MAPS}/a", patch, type)

    assert (strict.status, strict.json["message"].endswith(f"strict decoding error: {problem}")) == (422, True)
    assert warned.all("warning") == ["299 - " + orjson.dumps(problem).decode()]


async def test_a_patched_object_gets_its_defaults(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    ports = {"spec": {"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}}}}

    answer = await api.patch(WEB, ports, STRATEGIC)

    (container,) = answer.json["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize("type", [MERGE, STRATEGIC])
async def test_a_patch_without_effect_keeps_the_version(api: Api, type: str):
    made = await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", {"data": {"k": "v"}}, type)

    assert answer.json == made


async def test_a_patch_that_only_reorders_keeps_the_version(api: Api):
    made = await api.made(MAPS, {**a_map(), "data": {"a": "1", "b": "2"}})
    steps = [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/a", "value": "1"}]

    answer = await api.patch(f"{MAPS}/a", steps, JSON_PATCH)

    assert answer.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_version_in_a_patch_makes_it_conditional(api: Api):
    made = await api.made(MAPS, a_map())
    version = made["metadata"]["resourceVersion"]

    fresh = await api.patch(f"{MAPS}/a", {"metadata": {"resourceVersion": version}, "data": {"k": "w"}})
    stale = await api.patch(f"{MAPS}/a", {"metadata": {"resourceVersion": version}, "data": {"k": "x"}})

    assert (fresh.status, stale.error[:2]) == (200, (409, "Conflict"))


@pytest.mark.parametrize(
    ("type", "patch"),
    [
        (JSON_PATCH, [{"op": "test", "path": "/data/k", "value": "other"}]),
        (JSON_PATCH, [{"op": "remove", "path": "/data/missing"}]),
        (JSON_PATCH, [{"op": "test", "path": "/data/k"}]),
        (JSON_PATCH, [{"op": "explode", "path": "/data"}]),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": 5}]),
    ],
)
async def test_a_json_patch_that_fails_is_a_422(api: Api, type: str, patch: list):
    made = await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", patch, type)

    message = "the server rejected our request due to an error in our request"
    assert (answer.error, answer.json["details"]) == ((422, "Invalid", message), {})
    assert (await api.get(f"{MAPS}/a")).json == made


@pytest.mark.parametrize(
    ("type", "patch"),
    [
        (MERGE, b"{"),
        (MERGE, b"[]"),
        (MERGE, b"5"),
        (JSON_PATCH, b"{}"),
        (STRATEGIC, {"$patch": "explode"}),
        (STRATEGIC, {"metadata": {"finalizers": 5}}),
        (MERGE, {"metadata": None}),
        (MERGE, {"metadata": {"name": "b"}}),
        (MERGE, {"metadata": {"namespace": "kube-system"}}),
        (MERGE, {"kind": "Secret"}),
        (MERGE, {"apiVersion": None}),
        (MERGE, {"data": 5}),
        (MERGE, {"data": {"k": 5}}),
    ],
)
async def test_a_patch_that_makes_no_sense_is_a_4xx_and_changes_nothing(api: Api, type: str, patch: object):
    made = await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", patch, type)

    assert answer.status in (400, 422), answer.body
    assert (await api.get(f"{MAPS}/a")).json == made


async def test_a_patch_of_what_is_not_there_is_a_404(api: Api):
    assert (await api.patch(f"{MAPS}/a", {})).error == (404, "NotFound", 'configmaps "a" not found')


@pytest.mark.parametrize("type", ["application/json", "text/plain", "application/apply-patch+cbor"])
async def test_other_types_are_a_415_that_names_those_accepted(api: Api, type: str):
    await api.made(MAPS, a_map())

    answer = await api.patch(f"{MAPS}/a", {}, type)

    start = "the body of the request was in an unknown format - accepted media types include: "
    assert answer.error[:2] == (415, "UnsupportedMediaType")
    assert answer.json["message"].startswith(start)


async def test_ten_thousand_operations_are_the_limit(api: Api):
    await api.made(MAPS, a_map())
    step = {"op": "add", "path": "/data/k", "value": "w"}

    most = await api.patch(f"{MAPS}/a", [step] * MAX_OPERATIONS, JSON_PATCH)
    more = await api.patch(f"{MAPS}/a", [step] * (MAX_OPERATIONS + 1), JSON_PATCH)

    assert (most.status, more.error[:2]) == (200, (413, "RequestEntityTooLarge"))


async def test_copies_that_double_an_object_again_and_again_are_stopped(api: Api):
    await api.made(MAPS, a_map())
    steps = [{"op": "add", "path": "/x", "value": {"y": "z" * 1000}}]
    steps += [{"op": "copy", "from": "/x", "path": f"/x/y{step}"} for step in range(40)]

    answer = await api.patch(f"{MAPS}/a", steps, JSON_PATCH)

    assert 400 <= answer.status < 500


async def test_an_immutable_config_map_stays_as_it_is(api: Api):
    await api.made(MAPS, {**a_map(), "immutable": True})

    answer = await api.patch(f"{MAPS}/a", {"data": {"k": "w"}})

    assert answer.error[:2] == (422, "Invalid")


async def test_a_selector_of_a_deployment_is_immutable(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    patch = {
        "spec": {
            "selector": {"matchLabels": {"app": "other"}},
            "template": {"metadata": {"labels": {"app": "other"}}},
        }
    }

    answer = await api.patch(WEB, patch)

    assert answer.error[:2] == (422, "Invalid")
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["spec.selector"]


async def test_patches_at_the_same_time_all_have_their_effect(api: Api):
    import asyncio

    await api.made(MAPS, a_map())

    answers = await asyncio.gather(*(api.patch(f"{MAPS}/a", {"data": {f"k{n}": "v"}}) for n in range(10)))

    assert {answer.status for answer in answers} == {200}
    assert len((await api.get(f"{MAPS}/a")).json["data"]) == 11


async def test_a_node_port_survives_a_patch_of_something_else(api: Api):
    spec = {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}
    made = await api.made(f"{CORE}/services", {"metadata": {"name": "s"}, "spec": spec})

    answer = await api.patch(f"{CORE}/services/s", {"spec": {"selector": {"a": "c"}}}, STRATEGIC)

    assert answer.json["spec"]["ports"] == made["spec"]["ports"]
    assert answer.json["spec"]["clusterIP"] == made["spec"]["clusterIP"]


async def test_what_was_stored_before_a_default_existed_can_still_be_changed():
    store = await open_store("memory")
    spec = {"containers": [{"name": "c", "image": "web"}]}
    old = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "default", "uid": "1"},
        "spec": spec,
    }
    await store.put("/registry/pods/default/p", orjson.dumps(old), expected=0)

    async with running_api(store) as api:
        answer = await api.patch(f"{CORE}/pods/p", {"metadata": {"labels": {"a": "b"}}})

    assert (answer.status, answer.json["metadata"]["labels"]) == (200, {"a": "b"})


async def test_a_patch_does_not_smuggle_a_part_to_a_place_where_it_does_not_belong(api: Api):
    await api.made(MAPS, a_map(labels={"a": "b"}))
    steps = [{"op": "move", "from": "/metadata/labels", "path": "/metadata/finalizers"}]

    answer = await api.patch(f"{MAPS}/a", steps, JSON_PATCH)

    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
