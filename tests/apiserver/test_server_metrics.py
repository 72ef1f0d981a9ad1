"""What /metrics tells of admission, health, the store and flow schemas, under Kubernetes' names."""

import asyncio

import pytest

from apiserver import operations
from apiserver.admission.durations import TIMED_EVERY
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import StoreUnavailable
from tests.apiserver.local_api import Api, running_api
from tests.apiserver.test_objects import MAPS, a_map

CREATE = 'operation="CREATE",rejected="{}",type="{}"'
PREFIX = "apiserver_admission_"


async def told(api: Api) -> dict[str, float]:
    """Every sample, by name and labels."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def of_step(rejected: str, type: str) -> str:
    return f"{PREFIX}step_admission_duration_seconds_count{{{CREATE.format(rejected, type)}}}"


def of_plugin(name: str, rejected: str, type: str) -> str:
    labels = f'name="{name}",{CREATE.format(rejected, type)}'
    return f"{PREFIX}controller_admission_duration_seconds_count{{{labels}}}"


@pytest.mark.parametrize(
    "sample",
    [of_step("false", "admit"), of_step("false", "validate"), of_plugin("ResourceQuota", "false", "validate")],
)
async def test_a_write_that_is_admitted_counts_once_for_each_step_and_plugin(api: Api, sample: str):
    before = await told(api)
    await api.made(MAPS, a_map())

    assert (await told(api))[sample] - before.get(sample, 0) == 1


async def test_where_many_writes_are_alike_one_stands_for_the_others(api: Api):
    sample, many = of_plugin("ResourceQuota", "false", "validate"), 3 * TIMED_EVERY
    before = (await told(api)).get(sample, 0)
    for number in range(many):
        await api.made(MAPS, a_map(f"m{number}"))

    assert abs((await told(api))[sample] - before - many) < TIMED_EVERY


async def test_who_refuses_a_write_is_told(api: Api):
    refused = await api.post("/api/v1/namespaces/nowhere/configmaps", a_map())

    samples = await told(api)
    assert refused.status == 404
    assert samples[of_plugin("NamespaceLifecycle", "true", "admit")] == samples[of_step("true", "admit")] == 1


async def test_what_checks_say_is_counted(api: Api):
    for path in ("/readyz", "/readyz/ping", "/livez"):
        await api.get(path)
    api.server.health.is_draining = True
    await api.get("/readyz")
    api.server.health.is_draining = False

    samples = await told(api)
    total = "kubernetes_healthchecks_total"
    assert samples[f'{total}{{name="ping",status="success",type="readyz"}}'] == 3
    assert samples[f'{total}{{name="shutdown",status="error",type="readyz"}}'] == 1
    assert samples['kubernetes_healthcheck{name="shutdown",type="readyz"}'] == 0
    assert samples['kubernetes_healthcheck{name="ping",type="livez"}'] == 1


async def test_how_large_the_store_is_grows_with_it(api: Api):
    size = 'apiserver_storage_size_bytes{storage_cluster_id="etcd-0"}'
    before = (await told(api))[size]
    await api.made(MAPS, a_map())

    assert (await told(api))[size] > before > 0


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_store_without_an_answer_takes_nothing_else_from_the_metrics(monkeypatch, is_silent):
    class Mute(MemoryStore):
        async def size(self) -> int:
            await asyncio.sleep(1000 * is_silent)
            raise StoreUnavailable("no answer")

    monkeypatch.setattr(operations, "SIZE_SECONDS", 0.001)
    async with running_api(Mute()) as api:
        samples = await told(api)

    assert not [name for name in samples if name.startswith("apiserver_storage_size_bytes{")]
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="exempt"}' in samples


async def test_requests_are_counted_by_their_flow_schema(api: Api):
    labels = 'flow_schema="service-accounts",priority_level="workload-low"'
    await api.get(MAPS, user="system:serviceaccount:default:a", groups=("system:serviceaccounts",))

    samples = await told(api)
    assert samples[f"apiserver_flowcontrol_dispatched_requests_total{{{labels}}}"] == 1
    assert samples[f"apiserver_flowcontrol_current_executing_requests{{{labels}}}"] == 0
