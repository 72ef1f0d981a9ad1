"""Long lists and maps, wherever a kind has one: work grows as they do, and nobody else waits for it."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from copy import deepcopy
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.apiserver.kind_samples import SAMPLES
from tests.apiserver.local_api import Api, running_api
from tests.apiserver.test_deleting import a_pod
from tests.apiserver.test_objects import a_deployment
from wherry.api import kinds
from wherry.machinery.resource import Resource, all_kinds, kind_named
from wherry.machinery.schema import Schema, schema_for

kinds.load()

EXAMPLES = int(os.environ.get("WHERRY_EXAMPLES", "3"))
FEW, FACTOR = 2500, 4
# Of the loop's own cpu, garbage collection of this whole process included.
TURN_SECONDS = 0.25

Step = str | int


class Place(NamedTuple):
    """A list or map of a kind, by the way to it from the top of an object."""

    kind: str
    steps: tuple[Step, ...]

    @property
    def cls(self) -> type[Resource]:
        found = kind_named(*self.kind.split())
        assert found is not None
        return found

    @property
    def schema(self) -> Schema:
        schema = schema_for(*self.kind.split())
        for step in self.steps:
            below = schema.items if step == 0 else (schema.properties or {})[str(step)]
            assert below is not None
            schema = below
        return schema

    def filled(self, count: int, shape: str) -> bytes:
        """An object that is sound elsewhere, with so many items here."""
        inside = self.schema.items if self.schema.type == "array" else self.schema.additional
        items = [_item(inside, number, shape) for number in range(count)]
        body = {"metadata": {"generateName": "x-"}, **deepcopy(FIELDS.get(self.kind, {}))}
        _put(
            body, self.steps, items if self.schema.type == "array" else {f"k{i}": item for i, item in enumerate(items)}
        )
        return orjson.dumps(body)


def _item(schema: Schema | None, number: int, shape: str) -> Any:
    """An empty thing, a text, or what the schema wants with all its plain fields."""
    if shape == "text" or schema is None:
        return f"n{number}"
    if schema.type == "object" and shape == "full":
        plain = {name: each for name, each in (schema.properties or {}).items() if each.type not in ("object", "array")}
        return {name: _item(each, number, shape) for name, each in plain.items()}
    empty = {"object": {}, "array": [], "integer": number, "boolean": True}
    return empty.get(schema.type, f"n{number}")


def _put(body: Any, steps: tuple[Step, ...], value: Any) -> None:
    first, rest = steps[0], steps[1:]
    if isinstance(body, list) and not body:
        body.append({})
    if not rest:
        body[first] = value
        return
    wanted: type = list if rest[0] == 0 else dict
    if isinstance(body, dict) and not isinstance(body.get(first), wanted):
        body[first] = wanted()
    _put(body[first], rest, value)


def _places(schema: Schema, known: set[tuple[str, str]], steps: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The ways to every list and map below, but for those in definitions that others share and that are known."""
    for name, below in (schema.properties or {}).items():
        here = (*steps, name)
        if (schema.name, name) in known or (schema.name and name in ("status", "managedFields")):
            continue
        if schema.name:
            known.add((schema.name, name))
        if below.type == "array" or below.additional is not None:
            yield here
        if below.type == "array" and below.items is not None:
            yield from _places(below.items, known, (*here, 0))
        elif below.type == "object":
            yield from _places(below, known, here)


FIELDS = {kind: sample.fields for kind, sample in SAMPLES.items()}
FIELDS |= {"v1 Pod": {"spec": a_pod()["spec"]}, "apps/v1 Deployment": {"spec": a_deployment()["spec"]}}
_known: set[tuple[str, str]] = set()
PLACES = [
    Place(f"{kind.api_version} {kind.name}", steps)
    for kind in sorted({cls.kind for cls in all_kinds() if "create" in cls.kind.verbs}, key=lambda kind: kind.path("x"))
    if f"{kind.api_version} {kind.name}" in FIELDS
    for steps in _places(schema_for(kind.api_version, kind.name), _known)
]
VERSIONS = Place(
    "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", ("webhooks", 0, "admissionReviewVersions")
)


class Watched:
    """A server, and how long its loop's longest turn took."""

    def __init__(self, runner: asyncio.Runner, api: Api) -> None:
        self._runner, self._api = runner, api

    def costs(self, path: str, body: bytes) -> tuple[float, float]:
        """The cpu seconds of the longest turn and of everything, for one request."""
        return self._runner.run(self._costs(path, body))

    async def _costs(self, path: str, body: bytes) -> tuple[float, float]:
        request = asyncio.ensure_future(self._api.post(path, body))
        longest, all_before = 0.0, time.process_time()
        while not request.done():
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)
        assert request.result().status < 500
        return longest, time.process_time() - all_before


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield Watched(runner, runner.run(stack.enter_async_context(running_api())))
        runner.run(stack.aclose())


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(PLACES), shape=st.sampled_from(["empty", "text", "full"]))
@example(place=VERSIONS, shape="text")
@example(place=Place("v1 Pod", ("spec", "topologySpreadConstraints")), shape="full")
@example(place=Place("v1 ConfigMap", ("metadata", "ownerReferences")), shape="full")
def test_work_grows_as_a_list_does(watched: Watched, place: Place, shape: str):
    path = place.cls.kind.path("default")

    _, few = watched.costs(path, place.filled(FEW, shape))
    turn, many = watched.costs(path, place.filled(FEW * FACTOR, shape))

    assert many < 2 * FACTOR * few + 0.2, "as the square of the number of items"
    assert turn < TURN_SECONDS
