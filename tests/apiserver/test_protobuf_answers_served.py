"""Answers in protobuf over HTTP: to whom they are given, what they hold, and that real kubectl reads them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.apiserver.custom_kinds import a_definition, a_widget, declared
from tests.apiserver.local_api import APPS, CORE, TABLE, Api, Stream, running_api
from tests.apiserver.served_api import served_api
from tests.apiserver.test_objects import a_deployment
from wherry.machinery import protobuf

PROTOBUF = "application/vnd.kubernetes.protobuf"
PREFERRED = {"accept": f"{PROTOBUF},application/json"}
ONLY = {"accept": PROTOBUF}
METADATA_ONLY = {"accept": f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"}
MAPS = f"{CORE}/configmaps"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
JOBS = "/apis/batch/v1/namespaces/default/cronjobs"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


@pytest.fixture
async def api():
    async with running_api() as running:
        yield running


def a_map(name: str = "a") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}}


async def read(stream: Stream) -> tuple[str, dict[str, Any]]:
    """Type and object of the next event of a watch."""
    while len(stream.rest) < 4 or len(stream.rest) < 4 + int.from_bytes(stream.rest[:4], "big"):
        stream.rest += await asyncio.wait_for(stream.chunks.get(), 5)
    end = 4 + int.from_bytes(stream.rest[:4], "big")
    frame, stream.rest = stream.rest[4:end], stream.rest[end:]
    return frame[2 : 2 + frame[1]].decode(), protobuf.decode(frame[frame.index(protobuf.MAGIC) :])


@pytest.mark.parametrize("accept", [PREFERRED, ONLY])
async def test_objects_and_lists_are_what_they_are_in_json(api: Api, accept: dict[str, str]):
    made = await api.post(f"{APPS}/deployments", a_deployment(replicas=0), headers=accept)
    one = await api.get(f"{APPS}/deployments/web", headers=accept)
    several = await api.get(f"{APPS}/deployments", headers=accept)

    plain, listed = [(await api.get(path)).json for path in (f"{APPS}/deployments/web", f"{APPS}/deployments")]
    assert {answer.header("content-type") for answer in (made, one, several)} == {PROTOBUF}
    assert protobuf.decode(made.body) == protobuf.decode(one.body)
    assert without_zeros(protobuf.decode(one.body)) == without_zeros(plain)
    assert without_zeros(protobuf.decode(several.body)) == without_zeros(listed)


@pytest.mark.parametrize("accept", ["application/json", f"application/json,{PROTOBUF}", "*/*", TABLE])
async def test_who_prefers_json_gets_json(api: Api, accept: str):
    await api.made(MAPS, a_map())

    assert (await api.get(f"{MAPS}/a", headers={"accept": accept})).header("content-type") == "application/json"


async def test_a_kind_whose_message_nobody_knows_is_answered_in_json(api: Api):
    queues = "/apis/scheduling.wherry.dev/v1alpha1/queues"

    either, only = await api.get(queues, headers=PREFERRED), await api.get(queues, headers=ONLY)

    assert (either.status, either.json["kind"], only.status) == (200, "QueueList", 406)


async def test_errors_and_deletions_are_statuses(api: Api):
    await api.made(MAPS, a_map())

    missing = await api.get(f"{MAPS}/none", headers=ONLY)
    deleted = await api.delete(f"{MAPS}/a", headers=PREFERRED)
    nobody = await api.get(MAPS, headers=ONLY, user=None)

    status = protobuf.decode(missing.body)
    assert (missing.status, status["kind"], status["reason"], status["code"]) == (404, "Status", "NotFound", 404)
    assert status["details"] == {"name": "none", "kind": "configmaps"}
    assert protobuf.decode(deleted.body)["status"] == "Success"
    assert protobuf.decode(nobody.body)["reason"] == "Forbidden"


async def test_watches_are_frames_of_whole_objects(api: Api):
    async with api.watch(MAPS, accept=PREFERRED["accept"], resourceVersion="0") as stream:
        await api.made(MAPS, a_map())
        await api.delete(f"{MAPS}/a")
        events = [await read(stream) for _ in range(2)]

    assert (await stream.started).header("content-type") == f"{PROTOBUF};stream=watch"
    assert [(type, event["kind"], event["data"]) for type, event in events] == [
        ("ADDED", "ConfigMap", {"k": "v"}),
        ("DELETED", "ConfigMap", {"k": "v"}),
    ]


async def test_a_watch_begins_with_the_state_and_its_bookmark(api: Api):
    await api.made(MAPS, a_map())
    wanted = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}

    async with api.watch(MAPS, accept=PROTOBUF, **wanted) as stream:
        begun = [await read(stream) for _ in range(2)]

    assert [(type, event["metadata"].get("name")) for type, event in begun] == [("ADDED", "a"), ("BOOKMARK", None)]
    assert begun[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_watchers_of_protobuf_share_one_frame(api: Api):
    async with api.watch(MAPS, accept=PROTOBUF) as one, api.watch(MAPS, accept=PREFERRED["accept"]) as other:
        await api.made(MAPS, a_map())
        first, second = [await asyncio.wait_for(stream.chunks.get(), 5) for stream in (one, other)]

    assert first is second


async def test_metadata_alone_has_a_form_for_custom_kinds_too(api: Api):
    await declared(api, a_definition())
    await api.made(WIDGETS, a_widget())

    one = await api.get(f"{WIDGETS}/a", headers=METADATA_ONLY)
    several = await api.get(WIDGETS, headers=METADATA_ONLY)
    whole = await api.get(f"{WIDGETS}/a", headers=ONLY)
    either = await api.get(f"{WIDGETS}/a", headers=PREFERRED)

    assert one.header("content-type") == PROTOBUF
    assert protobuf.decode(one.body)["kind"] == "PartialObjectMetadata"
    assert [item["metadata"]["name"] for item in protobuf.decode(several.body)["items"]] == ["a"]
    assert (whole.status, protobuf.decode(whole.body)["message"]) == (
        406,
        "only the following media types are accepted: application/json, application/yaml",
    )
    assert either.json["kind"] == "Widget"


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"])
async def test_discovery_is_told_in_protobuf(api: Api, path: str):
    told = protobuf.decode((await api.get(path, headers=ONLY)).body)

    plain = (await api.get(path)).json
    assert {key: value for key, value in told.items() if key != "apiVersion"} == {
        key: value for key, value in plain.items() if key != "apiVersion"
    }


async def test_aggregated_discovery_is_told_in_protobuf(api: Api):
    parameters = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    answer = await api.get("/apis", headers={"accept": PROTOBUF + parameters})

    plain = (await api.get("/apis", headers={"accept": "application/json" + parameters})).json
    assert answer.header("content-type") == PROTOBUF + parameters
    told = protobuf.decode(answer.body)["items"]
    assert [group["metadata"] for group in told] == [group["metadata"] for group in plain["items"]]
    assert told[0]["versions"][0]["resources"][0]["verbs"] == plain["items"][0]["versions"][0]["resources"][0]["verbs"]


async def test_a_long_list_lets_others_in(api: Api):
    for number in range(40):
        await api.made(MAPS, a_map(f"m{number}"))
    seen: list[str] = []
    asked = asyncio.ensure_future(api.get(MAPS, headers=ONLY))
    other = asyncio.ensure_future(api.get(f"{MAPS}/m1"))
    asked.add_done_callback(lambda _: seen.append("the list"))
    other.add_done_callback(lambda _: seen.append("the object"))
    await asyncio.gather(asked, other)

    assert seen == ["the object", "the list"]
    assert len(protobuf.decode(asked.result().body)["items"]) == 40


@pytest.mark.xdist_group("protobuf_with_kubectl")
async def test_kubectl_reads_our_protobuf(tmp_path):
    commands = (
        ("create", "deployment", "web", "--image=nginx", "--replicas=0"),
        ("create", "quota", "q", "--hard=cpu=1500m"),
        ("create", "ingress", "i", "--rule=a.b/x*=svc:80"),
        ("create", "cronjob", "c", "--image=x", "--schedule=* * * * *"),
        ("run", "p", "--image=x", "--port=80", "--labels=a=b"),
    )
    async with served_api(tmp_path) as served:
        made = [await served.kubectl(*command, "-o", "json", "--show-managed-fields") for command in commands]
        dumped = await served.kubectl("cluster-info", "dump", "--namespaces=default")
        again = await served.kubectl(*commands[0])
        asked = await served.kubectl("create", "configmap", "m", "-v=9")
        paths = (f"{APPS}/deployments/web", f"{CORE}/resourcequotas/q", f"{INGRESSES}/i", f"{JOBS}/c", f"{CORE}/pods/p")
        stored = [(await served.api.get(path)).json for path in paths]

    assert [without_zeros(json.loads(told.out)) for told in made] == [without_zeros(whole) for whole in stored]
    assert '"kind": "PodList"' in dumped.out
    assert 'deployments.apps "web" already exists' in again.err
    assert f"\tContent-Type: {PROTOBUF}" in asked.err


def without_zeros(value: Any) -> Any:
    """Without what Go may print or leave out as it likes."""
    if isinstance(value, dict):
        return {key: kept for key, each in value.items() if (kept := without_zeros(each)) not in ({}, None, [], "")}
    return [without_zeros(each) for each in value] if isinstance(value, list) else value
