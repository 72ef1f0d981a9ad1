"""What all answers say of themselves: the name the audit log has for them, and that nobody may keep them."""

import re

import pytest

from tests.apiserver.local_api import CORE, Api

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}")


@pytest.mark.parametrize("path", [f"{CORE}/configmaps", f"{CORE}/pods/none", "/apis/apps/v1", "/healthz"])
async def test_answers_have_an_audit_id_of_their_own_and_are_not_to_be_kept(api: Api, path: str):
    answers = [await api.get(path) for _ in range(2)]

    ids = {answer.header("audit-id") for answer in answers}
    assert len(ids) == 2
    assert all(UUID.fullmatch(audit_id) for audit_id in ids)
    assert {answer.header("cache-control") for answer in answers} == {"no-cache, private"}


async def test_a_client_s_audit_id_is_repeated(api: Api):
    answer = await api.get(f"{CORE}/configmaps", headers={"audit-id": "mine"})

    assert answer.all("audit-id") == ["mine"]


async def test_what_may_be_kept_says_so(api: Api):
    index = (await api.get("/openapi/v3")).json
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]

    path, _, query = url.partition("?hash=")

    assert (await api.get(path, query={"hash": query})).all("cache-control") == ["public, immutable"]


async def test_metrics_tell_how_many_objects_there_are(api: Api):
    await api.made(f"{CORE}/configmaps", {"metadata": {"name": "a"}})

    told = (await api.get("/metrics")).body.decode()

    assert re.search(r'^apiserver_storage_objects\{resource="configmaps"\} \d\.0$', told, re.MULTILINE)
    assert 'apiserver_registered_watchers{group="apps",kind="Deployment",version="v1"} 0.0' in told


async def test_metrics_tell_what_watchers_were_told(api: Api):
    async with api.watch(f"{CORE}/configmaps") as one, api.watch(f"{CORE}/configmaps") as other:
        for stream in (one, other):
            await stream.started
        await api.made(f"{CORE}/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v" * 2000}})
        told = (await api.get("/metrics")).body.decode()

    where = 'group="",resource="configmaps",scope="namespace",subresource="",verb="WATCH",version="v1"'
    assert f'apiserver_longrunning_requests{{component="apiserver",{where}}} 2.0' in told
    labels = 'group="",resource="configmaps",version="v1"'
    assert f"apiserver_watch_events_total{{{labels}}} 2.0" in told
    assert 'apiserver_watch_events_sizes_bucket{group="",le="1024.0",resource="configmaps",version="v1"} 0.0' in told
    assert f"apiserver_watch_events_sizes_count{{{labels}}} 2.0" in told
