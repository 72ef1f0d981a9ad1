"""LIST: order, selectors, pages, and what a resourceVersion means."""

import asyncio

import pytest

from apiserver import app
from apiserver.reading import representation, selection
from apiserver.reading.negotiation import Representation
from tests.apiserver.local_api import CORE, PARTIAL_LIST, TABLE, Api, running_api
from tests.apiserver.test_objects import MAPS, a_map
from tests.make import NOW
from wherry.api.core.config_map import ConfigMap
from wherry.sim.virtual_time import in_virtual_time


def names(answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json["items"]]


async def five_maps(api: Api) -> list[dict]:
    return [await api.made(MAPS, a_map(name, labels={"n": str(n)})) for n, name in enumerate("cabed")]


async def test_a_list_is_in_key_order_and_its_items_name_no_kind(api: Api):
    await five_maps(api)

    answer = await api.get(MAPS)

    assert (answer.json["kind"], answer.json["apiVersion"], names(answer)) == ("ConfigMapList", "v1", list("abcde"))
    assert all("kind" not in item and "apiVersion" not in item for item in answer.json["items"])


async def test_the_version_of_a_list_is_that_of_the_newest_write(api: Api):
    made = await five_maps(api)

    assert (await api.get(MAPS)).json["metadata"] == {"resourceVersion": made[-1]["metadata"]["resourceVersion"]}


async def test_a_list_across_namespaces_sorts_by_namespace_and_name(api: Api):
    await api.made("/api/v1/namespaces/kube-system/configmaps", a_map("a"))
    await api.made(MAPS, a_map("z"))

    listed = (await api.get("/api/v1/configmaps")).json["items"]

    places = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listed]
    assert places == [("default", "z"), ("kube-system", "a")]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"labelSelector": "n=1"}, "a"),
        ({"labelSelector": "n in (1,2)"}, "ab"),
        ({"labelSelector": "n notin (1,2)"}, "cde"),
        ({"labelSelector": "n!=1,n"}, "bcde"),
        ({"labelSelector": "!n"}, ""),
        ({"labelSelector": "n>2"}, "de"),
        ({"fieldSelector": "metadata.name=a"}, "a"),
        ({"fieldSelector": "metadata.name!=a"}, "bcde"),
        ({"fieldSelector": "metadata.name=a,metadata.name=b"}, ""),
        ({"fieldSelector": "metadata.namespace=default", "labelSelector": "n==4"}, "d"),
    ],
)
async def test_selectors_choose(api: Api, selector: dict, expected: str):
    await five_maps(api)

    assert names(await api.get(MAPS, query=selector)) == list(expected)


@pytest.mark.parametrize(
    "selector",
    [
        {"labelSelector": "a in"},
        {"labelSelector": "a=b=c"},
        {"labelSelector": "a b"},
        {"labelSelector": "(" * 10_000},
        {"labelSelector": "a in (" + "x," * 100_000 + ")"},
        {"fieldSelector": "metadata.name"},
        {"fieldSelector": "spec.replicas=1"},
        {"fieldSelector": r"metadata.name=\x"},
    ],
)
async def test_a_bad_selector_is_a_400(api: Api, selector: dict):
    assert (await api.get(MAPS, query=selector)).error[:2] == (400, "BadRequest")


async def test_an_unknown_field_is_named(api: Api):
    maps = await api.get(MAPS, query={"fieldSelector": "data.a=b"})
    pods = await api.get(f"{CORE}/pods", query={"fieldSelector": "spec.b=c"})

    only = 'only "metadata.name", "metadata.namespace"'
    assert maps.json["message"].endswith(f'"data.a" is not a known field selector: {only}')
    assert pods.json["message"].endswith("field label not supported: spec.b")


async def test_pages_show_one_moment(api: Api):
    await five_maps(api)
    first = await api.get(MAPS, query={"limit": 2})
    await api.delete(f"{MAPS}/d")
    await api.made(MAPS, a_map("bb"))

    second = await api.get(MAPS, query={"limit": 2, "continue": first.json["metadata"]["continue"]})
    last = await api.get(MAPS, query={"limit": 2, "continue": second.json["metadata"]["continue"]})

    assert [names(page) for page in (first, second, last)] == [["a", "b"], ["c", "d"], ["e"]]
    assert len({page.json["metadata"]["resourceVersion"] for page in (first, second, last)}) == 1
    remaining = [page.json["metadata"].get("remainingItemCount") for page in (first, second, last)]
    assert (remaining, "continue" in last.json["metadata"]) == ([3, 1, None], False)


async def test_pages_of_a_selection_say_nothing_of_what_remains(api: Api):
    await five_maps(api)
    query = {"limit": 2, "labelSelector": "n!=0"}

    first = await api.get(MAPS, query=query)
    second = await api.get(MAPS, query={**query, "continue": first.json["metadata"]["continue"]})

    assert [names(first), names(second)] == [["a", "b"], ["d", "e"]]
    assert "remainingItemCount" not in first.json["metadata"]
    assert "continue" not in second.json["metadata"]


async def test_a_compacted_token_is_a_410_that_offers_a_new_one(api: Api):
    await five_maps(api)
    token = (await api.get(MAPS, query={"limit": 2})).json["metadata"]["continue"]
    newest = await api.made(MAPS, a_map("f"))
    await api.server.cache.compact(int(newest["metadata"]["resourceVersion"]))

    answer = await api.get(MAPS, query={"limit": 2, "continue": token})
    rest = await api.get(MAPS, query={"continue": answer.json["metadata"]["continue"]})

    assert answer.error[:2] == (410, "Expired")
    assert names(rest) == ["c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "x"}, 400),
        ({"limit": "1.5"}, 400),
        ({"limit": "9" * 30}, 400),
        ({"continue": "nonsense"}, 400),
        ({"continue": "\u00e9"}, 400),
        ({"continue": "x" * 100_000}, 400),
        ({"resourceVersion": "x"}, 400),
        ({"resourceVersion": "-1"}, 400),
        ({"resourceVersion": "1.0"}, 400),
        ({"resourceVersion": "9" * 30}, 400),
        ({"resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersionMatch": "NotOlderThan"}, 422),
        ({"resourceVersion": "0", "resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersion": "1", "resourceVersionMatch": "Around"}, 422),
    ],
)
async def test_options_without_meaning_are_refused(api: Api, query: dict, code: int):
    assert (await api.get(MAPS, query=query)).status == code


async def test_a_token_and_a_version_do_not_go_together(api: Api):
    await five_maps(api)
    first = (await api.get(MAPS, query={"limit": 2})).json["metadata"]

    answer = await api.get(MAPS, query={"continue": first["continue"], "resourceVersion": first["resourceVersion"]})

    message = "specifying resource version is not allowed when using continue"
    assert answer.error == (400, "BadRequest", message)


async def test_exactly_a_version_shows_the_past(api: Api):
    made = await five_maps(api)
    version = made[1]["metadata"]["resourceVersion"]

    exact = await api.get(MAPS, query={"resourceVersion": version, "resourceVersionMatch": "Exact"})
    limited = await api.get(MAPS, query={"resourceVersion": version, "limit": 5})
    not_older = await api.get(MAPS, query={"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"})

    assert [names(exact), names(limited), names(not_older)] == [["a", "c"], ["a", "c"], list("abcde")]
    assert exact.json["metadata"]["resourceVersion"] == version


async def test_exactly_a_compacted_version_is_a_410(api: Api):
    made = await five_maps(api)
    await api.server.cache.compact(int(made[-1]["metadata"]["resourceVersion"]))

    query = {"resourceVersion": made[0]["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    answer = await api.get(MAPS, query=query)

    message = "The resourceVersion for the provided list is too old."
    assert answer.error == (410, "Expired", message)


@in_virtual_time
async def test_a_version_from_the_future_is_waited_for_three_seconds():
    async with running_api() as api:
        made = await api.made(MAPS, a_map())
        version = int(made["metadata"]["resourceVersion"])
        began = asyncio.get_running_loop().time()

        answer = await api.get(MAPS, query={"resourceVersion": str(version + 5)})

        waited = asyncio.get_running_loop().time() - began
        message = f"Timeout: Too large resource version: {version + 5}, current: {version}"
        assert (waited, answer.error) == (3, (504, "Timeout", message))
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        assert answer.json["details"] == {"causes": causes, "retryAfterSeconds": 1}


@in_virtual_time
async def test_a_version_that_comes_in_time_is_answered():
    async with running_api() as api:
        made = await api.made(MAPS, a_map())
        version = int(made["metadata"]["resourceVersion"]) + 1
        listing = asyncio.ensure_future(api.get(MAPS, query={"resourceVersion": str(version)}))
        await asyncio.sleep(1)
        await api.made(MAPS, a_map("b"))

        assert names(await listing) == ["a", "b"]


@in_virtual_time
async def test_a_get_waits_for_its_version_too():
    async with running_api() as api:
        made = await api.made(MAPS, a_map())
        version = int(made["metadata"]["resourceVersion"])

        answer = await api.get(f"{MAPS}/a", query={"resourceVersion": str(version + 5)})
        garbage = await api.get(f"{MAPS}/a", query={"resourceVersion": "x"})

        assert (answer.error[:2], garbage.error[:2]) == ((504, "Timeout"), (400, "BadRequest"))


async def test_unknown_parameters_are_ignored(api: Api):
    await five_maps(api)

    assert len(names(await api.get(MAPS, query={"timeout": "32s", "colour": "red", "": ""}))) == 5


async def test_metadata_alone_can_be_asked_for(api: Api):
    (made, *_) = await five_maps(api)

    listed = (await api.get(MAPS, headers={"accept": PARTIAL_LIST})).json

    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert listed["items"][2] == partial


async def test_events_are_listed_by_what_they_are_about(api: Api):
    for name, kind in (("e1", "Pod"), ("e2", "Node")):
        about = {"kind": kind, "name": "x", "namespace": "default"}
        await api.made(f"{CORE}/events", {"metadata": {"name": name}, "involvedObject": about})

    core = await api.get(f"{CORE}/events", query={"fieldSelector": "involvedObject.kind=Pod"})
    newer = await api.get(
        "/apis/events.k8s.io/v1/namespaces/default/events", query={"fieldSelector": "regarding.kind=Pod"}
    )

    assert [names(core), names(newer)] == [["e1"], ["e1"]]
    assert newer.json["items"][0]["regarding"]["name"] == "x"


LIST_FORMS = ("application/json", TABLE, PARTIAL_LIST, "application/yaml", "application/vnd.kubernetes.protobuf")


@pytest.mark.parametrize("accept", LIST_FORMS)
async def test_a_long_list_is_the_same_in_many_pieces(api: Api, monkeypatch: pytest.MonkeyPatch, accept: str):
    await five_maps(api)
    headers = {"accept": accept, "audit-id": "the same"}
    whole = await api.get(MAPS, headers=headers, query={"labelSelector": "n!=9"})
    for module, name in ((representation, "ENCODED_AT_A_TIME"), (representation, "LISTED_AT_A_TIME")):
        monkeypatch.setattr(module, name, 2)
    for module, name in ((selection, "JUDGED_AT_A_TIME"), (representation, "LONG_BYTES"), (app, "SLICE_BYTES")):
        monkeypatch.setattr(module, name, 3)

    pieces = await api.get(MAPS, headers=headers, query={"labelSelector": "n!=9"})

    assert (pieces.body, pieces.headers) == (whole.body, whole.headers)


async def test_others_have_their_turn_while_a_long_list_is_made(api: Api, monkeypatch: pytest.MonkeyPatch):
    await five_maps(api)
    monkeypatch.setattr(representation, "LISTED_AT_A_TIME", 1)
    monkeypatch.setattr(app, "SLICE_BYTES", 1000)

    listed, made = await asyncio.gather(api.get(MAPS), api.made(MAPS, a_map("later")))

    assert names(listed) == list("abcde")
    assert int(made["metadata"]["resourceVersion"]) > int(listed.json["metadata"]["resourceVersion"])


async def test_a_long_list_takes_no_memory_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(representation, "LONG_BYTES", 0)
    items = [b'{"metadata":{"name":"a"}}', b'{"metadata":{"name":"b"}}']

    pieces = await representation.many_in_pieces(ConfigMap, items, {}, Representation(), NOW)

    assert b"".join(pieces).endswith(b'"items":[%b,%b]}' % tuple(items))
    assert [any(piece is item for piece in pieces) for item in items] == [True, True]


async def test_pages_show_one_moment_while_others_write_without_a_pause(api: Api):
    there = [f"m{number:03}" for number in range(100)]
    for name in there:
        await api.made(MAPS, a_map(name))

    async def write() -> None:
        for number in range(0, 100, 2):
            await api.delete(f"{MAPS}/m{number:03}")
            await api.made(MAPS, a_map(f"m{number:03}-later"))

    seen: list[str] = []
    query: dict[str, object] = {"limit": 7}
    page = await api.get(MAPS, query=query)
    writing = asyncio.ensure_future(write())
    seen += names(page)
    while token := page.json["metadata"].get("continue"):
        page = await api.get(MAPS, query={**query, "continue": token})
        seen += names(page)
    await writing

    assert seen == there
