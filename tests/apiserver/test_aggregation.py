"""Aggregated APIs: another server's kinds under this server's roof, for kubectl and for everybody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.apiserver.extension_server import GROUP, ROOT, VERSION, Extension, an_api_service, extension_server
from tests.apiserver.local_api import Api
from tests.apiserver.served_api import Served, served_api

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = f"{VERSION}.{GROUP}"
FLUNDERS = f"{ROOT}/namespaces/default/flunders"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Scene(NamedTuple):
    served: Served
    api: Api
    extension: Extension


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with served_api(tmp_path, front_proxy=True) as served, extension_server(served) as extension:
        yield Scene(served, served.api, extension)


async def condition(api: Api, wanted: str) -> tuple[str, str]:
    """Status and message, once the reason is the wanted one."""
    async with asyncio.timeout(10), api.watch(SERVICES) as stream:
        while True:
            event = await stream.next()
            if event and event["object"]["metadata"]["name"] == NAME:
                for each in event["object"].get("status", {}).get("conditions", []):
                    if each["reason"] == wanted:
                        return each["status"], each["message"]


async def have_extension(scene: Scene) -> None:
    await scene.api.made(SERVICES, an_api_service(scene.served))
    assert await condition(scene.api, "Passed") == ("True", "all checks passed")


async def test_kubectl_uses_the_kinds_of_another_server(scene: Scene):
    await have_extension(scene)
    flunder = f'{{"kind": "Flunder", "apiVersion": "{GROUP}/{VERSION}", "metadata": {{"name": "f"}}}}'

    told = [
        await scene.served.kubectl("create", "-f", "-", "--validate=false", given=flunder),
        await scene.served.kubectl("get", "flunders", "-o", "name"),
        await scene.served.kubectl("get", "flunder", "none"),
        await scene.served.kubectl("get", "apiservices", NAME, "--no-headers"),
    ]

    assert [each.out.split()[:3] for each in told] == [
        ["flunder.wardle.example.com/f", "created"],
        ["flunder.wardle.example.com/f"],
        [],
        [NAME, "default/wardle", "True"],
    ]
    assert told[2].err.strip() == 'Error from server (NotFound): flunders "none" not found'


async def test_the_other_server_knows_who_asks_from_a_proxy_it_can_trust(scene: Scene):
    await have_extension(scene)
    rule = {"apiGroups": [GROUP], "resources": ["flunders"], "verbs": ["list"]}
    roles = "/apis/rbac.authorization.k8s.io/v1/"
    await scene.api.made(f"{roles}clusterroles", {"metadata": {"name": "reader"}, "rules": [rule]})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}]
    await scene.api.made(
        f"{roles}clusterrolebindings", {"metadata": {"name": "r"}, "roleRef": ref, "subjects": subjects}
    )
    claims = {"x-remote-user": "root", "x-remote-group": "system:masters"}

    answer = await scene.api.get(FLUNDERS, user="bob", groups=("team",), headers=claims)
    refused = await scene.api.post(FLUNDERS, {}, user="bob", groups=("team",))

    caller = scene.extension.callers[-1]
    assert (answer.status, refused.status) == (200, 403)
    assert (caller["user"], caller["groups"]) == ("bob", ["team", "system:authenticated"])
    assert caller["certificate"]["commonName"] == "front-proxy-client"
    assert list(caller["extra"]) == ["X-Remote-Extra-authentication.kubernetes.io%2Fcredential-id"]


async def test_discovery_and_openapi_tell_of_it_among_the_others(scene: Scene):
    await have_extension(scene)

    listed = (await scene.api.get("/apis")).json
    aggregated = (await scene.api.get("/apis", headers={"accept": AGGREGATED})).json
    index = (await scene.api.get("/openapi/v3")).json
    document = (await scene.api.get(f"/openapi/v3{ROOT}")).json

    entry = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    group = {"name": GROUP, "versions": [entry], "preferredVersion": entry}
    assert group in listed["groups"]
    assert (await scene.api.get(f"/apis/{GROUP}")).json == {"kind": "APIGroup", "apiVersion": "v1", **group}
    [version] = next(item for item in aggregated["items"] if item["metadata"]["name"] == GROUP)["versions"]
    assert (version["freshness"], version["resources"][0]["resource"]) == ("Current", "flunders")
    assert index["paths"][ROOT[1:]] == {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=1"}
    assert document["info"]["title"] == "wardle"


async def test_watches_stream_through(scene: Scene):
    await have_extension(scene)
    flunder = {"kind": "Flunder", "metadata": {"name": "f"}}
    async with scene.served.session.post(f"{scene.served.url}{FLUNDERS}", json=flunder) as answer:
        assert answer.status == 201

    async with scene.served.session.get(f"{scene.served.url}{FLUNDERS}?watch=1") as answer:
        assert b'"ADDED"' in await answer.content.readline()


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            {"service": {"name": "none", "namespace": "default"}},
            "ServiceNotFound",
            'service/none in "default" is not present',
        ),
        (
            {"service": {"name": "wardle", "namespace": "default", "port": 1}},
            "ServicePortError",
            'service/wardle in "default" is not listening on port 1',
        ),
        ({"caBundle": ""}, "FailedDiscoveryCheck", "failing or missing response from https://"),
    ],
)
async def test_why_it_is_not_available_is_told_and_requests_are_503(
    scene: Scene, spec: dict[str, Any], reason: str, message: str
):
    await scene.api.made(SERVICES, an_api_service(scene.served, **spec))

    status, told = await condition(scene.api, reason)
    answer = await scene.api.get(FLUNDERS)

    assert (status, told.startswith(message)) == ("False", True)
    assert (answer.status, answer.body) == (503, b"service unavailable\n")


async def test_what_is_taken_back_is_gone_from_discovery(scene: Scene):
    await have_extension(scene)
    await scene.api.delete(f"{SERVICES}/{NAME}")
    await scene.api.server.cache.fresh()

    assert GROUP not in [group["name"] for group in (await scene.api.get("/apis")).json["groups"]]
    assert (await scene.api.get(FLUNDERS)).status == 404


async def test_nonsense_from_another_server_is_that_servers_trouble(scene: Scene):
    scene.extension.resources = ["flunders"]
    await scene.api.made(SERVICES, an_api_service(scene.served))
    status, message = await condition(scene.api, "FailedDiscoveryCheck")
    assert (status, "the answer is no APIResourceList" in message) == ("False", True)

    scene.extension.resources = [{"name": "flunders", "kind": "Flunder", "verbs": ["get"]}]
    await scene.api.patch(f"{SERVICES}/{NAME}", {"spec": {"versionPriority": 100}})

    assert await condition(scene.api, "Passed") == ("True", "all checks passed")
