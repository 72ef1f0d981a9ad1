"""Custom objects in versions between which a webhook converts: `spec.size` of v1 is `spec.extent.size` of v2."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests.apiserver.custom_kinds import DEFINITIONS, WIDGETS, a_definition, a_version, a_widget, declared
from tests.apiserver.local_api import MERGE, TABLE, Api
from tests.apiserver.served_api import served_api
from tests.apiserver.webhook_server import Hooks, webhook_server

NUMBER = {"type": "integer", "maximum": 20}
SECOND = {"type": "object", "properties": {"extent": {"type": "object", "properties": {"size": NUMBER}}}}
FIRST = a_version("v1", selectableFields=[])
OTHER = WIDGETS.replace("v1", "v2")


class Scene(NamedTuple):
    """The server, and a webhook that converts."""

    api: Api
    hooks: Hooks


def convert(request):
    def one(obj):
        wanted, spec = request["desiredAPIVersion"], obj["spec"]
        spec = {"extent": {"size": spec["size"]}} if wanted.endswith("v2") else {"size": spec["extent"]["size"]}
        metadata = {**obj["metadata"], "generation": 77, "labels": {"by": "webhook"}}
        return {**obj, "apiVersion": wanted, "spec": spec, "metadata": metadata}

    return {"result": {"status": "Success"}, "convertedObjects": [one(obj) for obj in request["objects"]]}


@pytest_asyncio.fixture
async def scene(tmp_path) -> AsyncIterator[Scene]:
    async with served_api(tmp_path) as served, webhook_server(served) as hooks:
        hooks.answers["/convert"] = convert
        webhook = {"clientConfig": hooks.at("/convert"), "conversionReviewVersions": ["v1"]}
        conversion = {"strategy": "Webhook", "webhook": webhook}
        versions = [FIRST, a_version("v2", storage=False, spec=SECOND)]
        await declared(served.api, a_definition(versions=versions, conversion=conversion))
        yield Scene(served.api, hooks)


def second(name="b", size=5):
    return {**a_widget(name, "v2"), "spec": {"extent": {"size": size}}}


async def test_an_object_is_read_in_both_versions_whichever_it_was_written_in(scene):
    api = scene.api
    await api.made(WIDGETS, a_widget("a"))
    await api.made(OTHER, second("b"))

    listed = (await api.get(OTHER)).json["items"]
    one = (await api.get(f"{OTHER}/a")).json
    stored = (await api.get(f"{WIDGETS}/b")).json

    assert [each["spec"]["extent"]["size"] for each in listed] == [3, 5]
    assert (one["apiVersion"], one["metadata"]["name"], one["metadata"]["labels"]) == (
        "example.com/v2",
        "a",
        {"by": "webhook"},
    )
    assert (stored["apiVersion"], stored["spec"]["size"]) == ("example.com/v1", 5)


async def test_writes_in_another_version_are_judged_in_it(scene):
    api = scene.api
    await api.made(OTHER, second("b"))

    patched = await api.patch(f"{OTHER}/b", {"spec": {"extent": {"size": 9}}}, MERGE)
    refused = await api.patch(f"{OTHER}/b", {"spec": {"extent": {"size": 21}}}, MERGE)

    assert (patched.status, patched.json["spec"], patched.json["metadata"]["generation"]) == (
        200,
        {"extent": {"size": 9}},
        2,
    )
    assert "spec.extent.size: Invalid value: 21: " in refused.json["message"]


async def test_a_watch_and_a_table_show_the_version_asked_for(scene):
    api = scene.api
    async with api.watch(OTHER) as stream:
        await api.made(WIDGETS, a_widget("a"))
        event = await stream.next()
    table = (await api.get(OTHER, headers={"accept": TABLE})).json

    assert (event["type"], event["object"]["apiVersion"]) == ("ADDED", "example.com/v2")
    assert event["object"]["spec"] == {"extent": {"size": 3}}
    assert table["rows"][0]["cells"][:2] == ["a", None]


async def test_objects_of_a_former_storage_version_are_converted_when_they_are_read(scene):
    api = scene.api
    await api.made(WIDGETS, a_widget("a"))
    versions = [a_version("v1", storage=False, selectableFields=[]), a_version("v2", spec=SECOND)]
    await api.patch(f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": versions}}, MERGE)

    assert (await api.get(f"{OTHER}/a")).json["spec"] == {"extent": {"size": 3}}
    assert [each["spec"]["size"] for each in (await api.get(WIDGETS)).json["items"]] == [3]


async def test_a_webhook_that_fails_is_told_and_is_asked_no_more_than_needed(scene):
    api, hooks = scene
    await api.made(WIDGETS, a_widget("a"))
    await api.get(f"{OTHER}/a")
    hooks.take()
    await api.get(f"{OTHER}/a")
    known = hooks.take()
    hooks.answers["/convert"] = lambda request: {"result": {"status": "Failed", "message": "no way"}}
    await api.made(WIDGETS, a_widget("c", size=4))
    failed = await api.get(f"{OTHER}/c")

    assert known == []
    assert (failed.status, failed.json["message"]) == (
        500,
        "conversion webhook for example.com/v1, Kind=Widget failed: no way",
    )
    assert (await api.get(f"{WIDGETS}/c")).status == 200


async def test_pages_of_many_objects_that_nobody_has_converted_yet(scene):
    api = scene.api
    for number in range(30):
        widget = a_widget(f"w{number:02}")
        await api.made(WIDGETS, {**widget, "metadata": {**widget["metadata"], "labels": {"n": str(number)}}})
    first = (await api.get(WIDGETS, query={"limit": "1"})).json["metadata"]["continue"]
    await api.delete(WIDGETS)
    asked = len(scene.hooks.asked)

    rest = await api.get(OTHER, query={"continue": first})

    assert len(rest.json["items"]) == 29
    assert len(scene.hooks.asked) - asked == 1


async def with_fields(scene, storage="v1"):
    """Both versions have a field to select by."""
    fields = [[{"jsonPath": ".spec.size"}], [{"jsonPath": ".spec.extent.size"}]]
    versions = [
        a_version("v1", storage=storage == "v1", selectableFields=fields[0]),
        a_version("v2", storage=storage == "v2", spec=SECOND, selectableFields=fields[1]),
    ]
    answer = await scene.api.patch(f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": versions}}, MERGE)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("storage", ["v1", "v2"])
async def test_each_version_is_selected_by_fields_of_its_own_whichever_is_stored(scene, storage):
    api = scene.api
    await api.made(WIDGETS, a_widget("a"))
    await with_fields(scene, storage)
    await api.made(OTHER, second("b", size=5))

    found = {
        (url, field): [
            each["metadata"]["name"] for each in (await api.get(url, query={"fieldSelector": field})).json["items"]
        ]
        for url, field in ((WIDGETS, "spec.size=5"), (OTHER, "spec.extent.size=5"), (OTHER, "spec.extent.size!=5"))
    }
    unknown = await api.get(OTHER, query={"fieldSelector": "spec.size=5"})

    assert list(found.values()) == [["b"], ["b"], ["a"]]
    assert unknown.error == (400, "BadRequest", "field label not supported: spec.size")


@pytest.mark.parametrize("storage", ["v1", "v2"])
async def test_a_collection_goes_by_the_fields_of_the_version_it_is_deleted_in(scene, storage):
    await with_fields(scene, storage)
    await scene.api.made(WIDGETS, a_widget("a"))
    await scene.api.made(OTHER, second("b", size=5))

    await scene.api.delete(OTHER, query={"fieldSelector": "spec.extent.size=5"})

    assert [each["metadata"]["name"] for each in (await scene.api.get(WIDGETS)).json["items"]] == ["a"]


@pytest.mark.parametrize("storage", ["v1", "v2"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_watchers_see_objects_come_and_go_by_fields_of_their_version(scene, storage, is_late):
    api = scene.api
    await with_fields(scene, storage)
    await api.made(WIDGETS, a_widget("a", size=5))
    query = {"fieldSelector": "spec.extent.size=5"}
    if is_late:
        query["resourceVersion"] = (await api.get(OTHER)).json["metadata"]["resourceVersion"]
    async with api.watch(OTHER, **query) as stream:
        for size in (6, 7, 5):
            await api.patch(f"{WIDGETS}/a", {"spec": {"size": size}}, MERGE)
        await api.made(WIDGETS, a_widget("c", size=9))
        await api.delete(f"{WIDGETS}/a")

        told = await stream.take(3 if is_late else 4)

    assert told == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")][is_late:]


async def test_versions_that_need_no_webhook_have_fields_of_their_own_too(api: Api):
    fields = [[{"jsonPath": ".spec.color"}], [{"jsonPath": ".spec.size"}]]
    versions = [a_version(f"v{n + 1}", storage=not n, selectableFields=fields[n]) for n in (0, 1)]
    await declared(api, a_definition(versions=versions))
    async with api.watch(OTHER, fieldSelector="spec.size=5") as stream:
        for name, size in (("a", 3), ("b", 5)):
            await api.made(WIDGETS, a_widget(name, size=size))
        await api.patch(f"{WIDGETS}/b", {"spec": {"size": 6}}, MERGE)
        listed = await api.get(OTHER, query={"fieldSelector": "spec.size!=6"})

        assert await stream.take(2) == [("ADDED", "b"), ("DELETED", "b")]
    assert [each["metadata"]["name"] for each in listed.json["items"]] == ["a"]


async def test_a_webhook_that_makes_another_object_of_it_is_told(scene):
    await scene.api.made(WIDGETS, a_widget("a"))

    def stolen(request):
        answer = convert(request)
        return {
            **answer,
            "convertedObjects": [{**each, "metadata": {"name": "b"}} for each in answer["convertedObjects"]],
        }

    scene.hooks.answers["/convert"] = stolen
    refused = await scene.api.get(f"{OTHER}/a")

    why = "conversion webhook for example.com/v1, Kind=Widget returned invalid object: must have the same name: a != b"
    assert refused.error == (500, "InternalError", why)


async def test_a_watch_by_fields_begins_anew_when_another_version_is_stored(scene):
    await with_fields(scene)
    async with scene.api.watch(WIDGETS, fieldSelector="spec.size=5") as stream:
        await scene.api.made(WIDGETS, a_widget("a", size=5))
        first = await stream.next()
        await with_fields(scene, "v2")

        assert (first["object"]["metadata"]["name"], await stream.next()) == ("a", None)


async def test_initial_events_of_a_watch_by_fields_are_additions_whatever_version_is_asked_for(scene):
    await with_fields(scene)
    made = await scene.api.made(WIDGETS, a_widget("a", size=5))
    state = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    state["resourceVersion"] = made["metadata"]["resourceVersion"]

    async with scene.api.watch(OTHER, fieldSelector="spec.extent.size=5", **state) as stream:
        assert await stream.take(1) == [("ADDED", "a")]


async def test_a_watch_by_fields_from_before_what_the_cache_remembers_has_expired(scene):
    await with_fields(scene)
    made = await scene.api.made(WIDGETS, a_widget("a", size=5))
    await scene.api.patch(f"{WIDGETS}/a", {"spec": {"size": 6}}, MERGE)
    cache = scene.api.server.cache
    for each in cache.all():
        each.begin(cache.applied)
    since = made["metadata"]["resourceVersion"]

    async with scene.api.watch(OTHER, fieldSelector="spec.extent.size=5", resourceVersion=since) as stream:
        told = await stream.next()

    assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_watch_by_fields_begins_anew_when_its_own_version_has_others(api: Api):
    def versions(path):
        return [a_version("v1"), a_version("v2", storage=False, selectableFields=[{"jsonPath": path}])]

    await declared(api, a_definition(versions=versions(".spec.size")))
    await api.made(WIDGETS, a_widget("a", size=5))
    async with api.watch(OTHER, fieldSelector="spec.size=5") as stream:
        first = await stream.take(1)
        await api.patch(f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": versions(".spec.color")}}, MERGE)

        assert (first, await stream.next()) == ([("ADDED", "a")], None)
