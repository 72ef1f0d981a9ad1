"""The operator in examples/operator/, unmodified, in a process of its own, against a real API server."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.apiserver.custom_kinds import gone, told
from tests.apiserver.local_api import APPS, MERGE
from tests.apiserver.served_api import served_api

pytestmark = pytest.mark.xdist_group("operator_example")

EXAMPLE = Path(__file__).parents[2] / "examples/operator"
SITES = "/apis/example.com/v1/namespaces/default/websites"


async def operator(served):
    command = (sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", "default", "--verbose")
    environment = {**os.environ, "KUBECONFIG": str(served.kubeconfig)}
    with (served.keys.folder / "operator.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *command, str(EXAMPLE / "operator.py"), env=environment, stdout=log, stderr=asyncio.subprocess.STDOUT
        )


async def phase(api, wanted):
    while True:
        site = (await api.get(f"{SITES}/hello")).json
        if (site.get("status") or {}).get("phase") == wanted:
            return site
        await asyncio.sleep(0.05)


async def test_a_website_becomes_a_deployment_follows_changes_and_goes_with_its_finalizer(tmp_path):
    async with served_api(tmp_path) as served:
        api = served.api
        await served.kubectl("apply", "-f", str(EXAMPLE / "definition.yaml"))
        await told(api, "websites.example.com")
        process = await operator(served)
        try:
            applied = await served.kubectl("apply", "-f", str(EXAMPLE / "website.yaml"))
            site = await asyncio.wait_for(phase(api, "Serving"), 30)
            deployment = (await api.get(f"{APPS}/deployments/hello")).json
            await served.kubectl("scale", "site/hello", "--replicas=3")
            await asyncio.wait_for(phase(api, "Updated"), 30)
            replicas = (await api.get(f"{APPS}/deployments/hello")).json["spec"]["replicas"]
            shown = await served.kubectl("get", "site", "--no-headers")
            refused = await api.patch(f"{SITES}/hello", {"spec": {"image": "other"}}, MERGE)
            await served.kubectl("delete", "site", "hello", "--timeout=30s")
            await asyncio.wait_for(gone(api, f"{SITES}/hello"), 30)
        finally:
            process.terminate()
            await process.wait()

    assert applied.out == "website.example.com/hello created\n"
    assert site["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    assert deployment["metadata"]["ownerReferences"][0]["uid"] == site["metadata"]["uid"]
    assert (deployment["spec"]["replicas"], replicas) == (2, 3)
    assert shown.out.split()[:3] == ["hello", "3", "Updated"]
    assert "the image of a website is for life" in refused.json["message"]
