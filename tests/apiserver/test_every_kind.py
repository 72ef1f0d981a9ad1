"""Every kind answers to every verb, tells of itself in discovery, and shows as kubectl shows it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.apiserver.kind_samples import SAMPLES, Sample
from tests.apiserver.local_api import TABLE, Api, cells_of, running_api
from wherry.machinery.resource import ALL_VERBS, Resource, kind_named

Object = dict[str, Any]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Place:
    """One kind, and where it is served."""

    def __init__(self, kind: str) -> None:
        self.api_version, self.name = kind.split()
        self.sample: Sample = SAMPLES[kind]
        found = kind_named(self.api_version, self.name)
        assert found is not None
        self.cls: type[Resource] = found
        self.path = found.kind.path("default")
        self.one = f"{self.path}/{self.sample.name}"

    def an_object(self) -> Object:
        metadata = {"name": self.sample.name, "labels": {"app": "x"}}
        return {"apiVersion": self.api_version, "kind": self.name, "metadata": metadata, **self.sample.fields}


@pytest.fixture
async def api():
    async with running_api(now=lambda: NOW) as running:
        yield running


@pytest.fixture(params=SAMPLES, ids=lambda kind: kind.split()[1])
def place(request) -> Place:
    return Place(request.param)


async def test_it_is_created_changed_listed_and_deleted(place: Place, api: Api):
    made = await api.made(place.path, place.an_object())
    await api.patch(place.one, {"metadata": {"annotations": {"x/y": "z"}}})
    newest = (await api.get(place.one)).json

    replaced = await api.put(place.one, {**newest, "metadata": {**newest["metadata"], "labels": {"a": "b"}}})
    late = await api.put(place.one, made)
    listed = (await api.get(place.path, query={"labelSelector": "a=b"})).json
    gone = [await api.delete(place.one), await api.get(place.one)]

    assert made.items() >= {"kind": place.name, "apiVersion": place.api_version}.items()
    assert newest["metadata"]["annotations"] == {"x/y": "z"}
    assert (replaced.status, late.status) == (200, 409)
    assert [item["metadata"]["name"] for item in listed["items"]] == [place.sample.name]
    assert [answer.status for answer in gone] == [200, 404]


async def test_it_shows_as_a_row(place: Place, api: Api):
    await api.made(place.path, place.an_object())

    answer = await api.get(place.one, headers={"accept": TABLE})

    [row] = answer.json["rows"]
    assert cells_of(row) == [place.sample.name, *place.sample.cells]


async def test_watching_tells_of_its_life_and_collections_go_at_once(place: Place, api: Api):
    start = (await api.get(place.path)).json["metadata"]["resourceVersion"]
    async with api.watch(place.path, resourceVersion=start, labelSelector="app=x") as stream:
        await api.made(place.path, place.an_object())
        await api.patch(place.one, {"metadata": {"annotations": {"x/y": "z"}}})
        await api.delete(place.path, query={"labelSelector": "app=x"})

        events = await stream.take(3)

    assert events == [(event, place.sample.name) for event in ("ADDED", "MODIFIED", "DELETED")]


@pytest.mark.parametrize("kind", [kind for kind, sample in SAMPLES.items() if sample.status])
async def test_its_status_is_written_on_its_own(kind: str, api: Api):
    place = Place(kind)
    made = await api.made(place.path, {**place.an_object(), "status": place.sample.status})

    reported = await api.patch(f"{place.one}/status", {"spec": None, "status": place.sample.status})
    replaced = await api.put(place.one, place.an_object() | {"metadata": reported.json["metadata"]})

    assert made.get("status", {}) != place.sample.status
    assert reported.json["status"].items() >= place.sample.status.items()
    assert replaced.json["status"] == reported.json["status"]
    assert replaced.json["spec"] == made["spec"]


async def test_discovery_and_openapi_tell_of_it(place: Place, api: Api):
    kind, sample = place.cls.kind, place.sample
    listed = (await api.get(kind.root)).json["resources"]
    schemas = (await api.get(f"/openapi/v3{kind.root}")).json["components"]["schemas"]

    [row] = [row for row in listed if row["name"] == kind.plural]

    assert set(row["verbs"]) == set(ALL_VERBS)
    assert (tuple(row.get("shortNames", ())), tuple(row.get("categories", ()))) == (sample.short, sample.categories)
    assert any(name.endswith(f".{place.name}") for name in schemas)
    assert (f"{kind.plural}/status" in {row["name"] for row in listed}) == bool(sample.status)
