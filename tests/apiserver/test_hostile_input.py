"""Whatever arrives: never a 500, never a hang, never half a write."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.apiserver.local_api import APPS, JSON_PATCH, MERGE, STRATEGIC, TABLE, Answer, Api, running_api
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_objects import MAPS, a_deployment, a_map
from wherry.api import kinds
from wherry.machinery.resource import all_kinds

kinds.load()

# A hang is found by World.run; hypothesis' own deadline would find a busy machine.
EXAMPLES = int(os.environ.get("WHERRY_EXAMPLES", "50"))
hostile = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
SECONDS = 20

WEB = f"{APPS}/deployments/web"
ODD_TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "\0", "a" * 300, "..", "%", "9e999999999", "$patch", "$setElementOrder/containers", "-1", "é"]
    ),
)
ODD_NUMBERS = st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 2**64 - 1, 1e308, 0.1, True, None])
JSON = st.recursive(
    st.one_of(ODD_TEXT, ODD_NUMBERS, st.integers(-(2**63), 2**64 - 1)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD_TEXT, inner, max_size=4)),
    max_leaves=12,
)
# Keys that mean something, so that the odd values get somewhere.
_FIELDS = """
    metadata spec status name namespace labels annotations finalizers ownerReferences resourceVersion uid kind
    apiVersion
    creationTimestamp deletionTimestamp generateName selector matchLabels matchExpressions template containers
    initContainers env ports replicas strategy rollingUpdate maxSurge volumes resources requests limits image clusterIP
    clusterIPs type nodePort nodeName tolerations affinity securityContext data rules
    $patch $retainKeys $setElementOrder/containers $deleteFromPrimitiveList/finalizers
"""
FIELDS = st.sampled_from(_FIELDS.split())
OBJECTS = st.recursive(
    st.one_of(JSON, st.sampled_from(["c", "web", "app", 80, {"app": "web"}, ["x"], {}, []])),
    lambda inner: st.one_of(
        st.dictionaries(FIELDS, inner, max_size=5), st.lists(st.dictionaries(FIELDS, inner, max_size=3), max_size=2)
    ),
    max_leaves=20,
)
COLLECTIONS = st.sampled_from([cls.kind.path("default") for cls in all_kinds() if "create" in cls.kind.verbs])


class World:
    """One server for all examples of this file."""

    def __init__(self, runner: asyncio.Runner, api: Api) -> None:
        self.runner, self.api = runner, api

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(asyncio.wait_for(coroutine, SECONDS))

    def stored(self, path: str) -> Any:
        answer = self.run(self.api.get(path))
        assert answer.status == 200
        return answer.json

    def check_valid(self, path: str) -> None:
        """What is stored would be accepted again as it is."""
        now = self.stored(path)
        answer = self.run(self.api.put(path, now, query={"dryRun": "All", "fieldValidation": "Strict"}))
        assert (answer.status, answer.json) == (200, now)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(running_api()))
        made = World(runner, api)
        made.run(api.post(f"{APPS}/deployments", a_deployment()))
        made.run(api.post(MAPS, a_map("kept")))
        made.run(api.post(PODS, a_pod("kept")))
        yield made
        runner.run(stack.aclose())


def is_calm(answer: Answer) -> bool:
    """No 500 but the one that Kubernetes gives for a resourceVersion on create."""
    return answer.status < 500 or b"resourceVersion should not be set" in answer.body


@hostile
@given(path=COLLECTIONS, body=OBJECTS)
def test_any_json_can_be_posted_anywhere(world: World, path: str, body: Any):
    answer = world.run(world.api.post(path, orjson.dumps(body)))

    assert is_calm(answer), answer.body


@hostile
@given(path=COLLECTIONS, metadata=OBJECTS, spec=OBJECTS)
def test_any_metadata_and_spec_can_be_posted_anywhere(world: World, path: str, metadata: Any, spec: Any):
    if isinstance(metadata, dict):
        metadata.setdefault("generateName", "x-")
    answer = world.run(world.api.post(path, {"metadata": metadata, "spec": spec, "rules": spec, "data": spec}))

    assert is_calm(answer), answer.body
    if answer.status == 201 and "uid" in answer.json.get("metadata", {}):
        world.check_valid(f"{path}/{answer.json['metadata']['name']}")


@hostile
@given(
    body=st.binary(max_size=200),
    type=st.sampled_from(
        ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "", "x/y", ";"]
    ),
)
@example(body=b"k8s\x00\xff\xff\xff\xff", type="application/vnd.kubernetes.protobuf")
def test_any_bytes_can_be_posted(world: World, body: bytes, type: str):
    for path in (MAPS, PODS):
        answer = world.run(world.api.post(path, body, headers={"content-type": type}))
        assert 400 <= answer.status < 500


@hostile
@given(
    path=st.sampled_from([WEB, f"{WEB}/status", f"{WEB}/scale", f"{MAPS}/kept", f"{PODS}/kept", f"{PODS}/kept/status"]),
    config=OBJECTS,
)
def test_any_configuration_leaves_a_valid_object(world: World, path: str, config: Any):
    main = path.removesuffix("/status").removesuffix("/scale")
    before = world.stored(main)
    kind, version = before["kind"], before["apiVersion"]
    if path.endswith("/scale"):
        kind, version = "Scale", "autoscaling/v1"
    body = {"kind": kind, "apiVersion": version, **config} if isinstance(config, dict) else config

    answer = world.run(world.api.apply(path, orjson.dumps(body), force="true"))

    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert world.stored(main) == before
    world.check_valid(main)
    restore(world, main, before)


@hostile
@given(
    path=st.sampled_from([WEB, f"{WEB}/status", f"{WEB}/scale", f"{MAPS}/kept", f"{PODS}/kept", f"{PODS}/kept/status"]),
    type=st.sampled_from([MERGE, STRATEGIC]),
    patch=OBJECTS,
)
def test_any_patch_leaves_a_valid_object(world: World, path: str, type: str, patch: Any):
    main = path.removesuffix("/status").removesuffix("/scale")
    before = world.stored(main)

    answer = world.run(world.api.patch(path, orjson.dumps(patch), type))

    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert world.stored(main) == before
    world.check_valid(main)
    restore(world, main, before)


def restore(world: World, path: str, before: Any) -> None:
    """The next example begins where this one did; a patch may have marked the object with finalizers."""
    current = world.stored(path)
    before["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
    assert world.run(world.api.put(path, before)).status in (200, 422)


POINTERS = st.lists(st.one_of(FIELDS, st.sampled_from(["0", "-", "1", "01", "~0", "~1", "~", ""])), max_size=5).map(
    lambda parts: "".join("/" + part for part in parts)
)
STEPS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]), "path": POINTERS},
    optional={"value": OBJECTS, "from": POINTERS},
)


@hostile
@given(steps=st.lists(STEPS, max_size=5))
def test_any_json_patch_leaves_a_valid_object(world: World, steps: list[dict]):
    before = world.stored(WEB)

    answer = world.run(world.api.patch(WEB, orjson.dumps(steps), JSON_PATCH))

    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert world.stored(WEB) == before
    world.check_valid(WEB)
    restore(world, WEB, before)


_PARAMETERS = """
    labelSelector fieldSelector limit continue resourceVersion resourceVersionMatch pretty includeObject timeoutSeconds
    sendInitialEvents dryRun fieldValidation x
"""
PARAMETERS = st.sampled_from(_PARAMETERS.split())
VALUES = st.one_of(
    ODD_TEXT,
    st.sampled_from(["0", "1", "true", "Exact", "NotOlderThan", "a=b", "a in (b)", "!a", "a>1", "metadata.name=x"]),
    st.text("abc=!,()<> in", max_size=12),
    st.text("metadata.name=!,\\\\", max_size=20),
)


@hostile
@given(
    query=st.dictionaries(PARAMETERS, VALUES, max_size=4),
    path=st.sampled_from([MAPS, PODS, f"{MAPS}/kept", "/api/v1/nodes", "/apis/events.k8s.io/v1/events"]),
    accept=st.one_of(st.sampled_from(["application/json", TABLE]), st.text("application/json;q=*as", max_size=20)),
)
def test_any_question_is_answered(world: World, query: dict[str, str], path: str, accept: str):
    answer = world.run(world.api.get(path, query=query, headers={"accept": accept}))

    assert answer.status < 500 or answer.status == 504
    assert answer.body


@hostile
@given(parts=st.lists(ODD_TEXT, max_size=8), method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "X"]))
def test_any_path_is_answered(world: World, parts: list[str], method: str):
    for root in ("", "/api/v1/", "/apis/apps/v1/namespaces/", "/api/v1/namespaces/default/pods/", "/openapi/v3/"):
        answer = world.run(world.api.request(method, root + "/".join(parts) or "/", {}))
        assert answer.status < 500


@hostile
@given(token=st.one_of(st.text(max_size=40), st.text("eyJ.-_AB", max_size=60)))
def test_any_token_is_refused(world: World, token: str):
    header = "Bearer " + token.encode("utf-8", "replace").decode("latin-1")

    answer = world.run(world.api.get("/version", user=None, headers={"authorization": header}))

    assert answer.status == 401


@hostile
@given(
    options=st.dictionaries(
        st.sampled_from(["gracePeriodSeconds", "preconditions", "propagationPolicy", "dryRun"]), JSON
    )
)
def test_any_delete_options_delete_or_refuse(world: World, options: dict):
    world.run(world.api.post(MAPS, a_map("doomed")))

    answer = world.run(world.api.delete(f"{MAPS}/doomed", orjson.dumps(options)))

    assert answer.status < 500
    if answer.status >= 400:
        assert world.run(world.api.get(f"{MAPS}/doomed")).status == 200
