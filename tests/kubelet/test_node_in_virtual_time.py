"""Whole lives of pods on the fake runtime, where ten minutes pass at once."""

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path

from kubelet.runtime.base import ContainerSpec, ExecResult
from kubelet.runtime.fake import FakeRuntime, Start
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import a_container, a_manifest, a_node, status, waits_for
from wherry.api.core.node import Node
from wherry.api.events.event import Event
from wherry.api.meta import find_condition
from wherry.api.resource.gpu import Gpu
from wherry.client import clock
from wherry.sim.virtual_time import in_virtual_time


def a_runtime(**scripts: Start) -> FakeRuntime:
    def script(spec: ContainerSpec) -> Start:
        return scripts.get(spec.name, Start())

    return FakeRuntime(clock.now, images=(TEST_IMAGE,), script=script, registry=("registry.test/web:1",))


@in_virtual_time
async def test_a_pod_comes_up_ready_with_an_address(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web"))

        pod = await node.until("web", lambda pod: pod.status.ready)

        assert pod.status.phase == "Running"
        assert pod.status.pod_ip.startswith("10.")
        assert {c.type: c.status for c in pod.status.conditions} == dict.fromkeys(
            ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
        )


@in_virtual_time
async def test_a_crash_loop_waits_ten_seconds_and_then_twice_as_long_up_to_five_minutes(tmp_path: Path):
    starts = []

    def crash(spec: ContainerSpec) -> Start:
        starts.append(clock.now())
        return Start(exit_code=1)

    async with a_node(tmp_path, FakeRuntime(clock.now, images=(TEST_IMAGE,), script=crash)) as node:
        await node.create(a_manifest("web"))
        await asyncio.sleep(1000)

    pauses = [round((after - before).total_seconds()) for before, after in itertools.pairwise(starts)]
    assert pauses == [0, 10, 20, 40, 80, 160, 300, 300]


@in_virtual_time
async def test_after_a_good_run_a_crash_is_a_first_one_again(tmp_path: Path):
    runtime = a_runtime()
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web"))
        pod = await node.until("web", lambda pod: pod.status.ready)
        for count in (1, 2):
            await asyncio.sleep(601)
            runtime.finish((await runtime.inventory(pod.metadata.uid)).containers[0].id, 1)
            before = clock.now()

            await node.until("web", lambda pod, n=count: status(pod).restart_count == n and pod.status.ready)

            assert clock.now() - before < timedelta(seconds=2)


@in_virtual_time
async def test_a_container_that_ignores_signals_is_killed_when_its_grace_is_over(tmp_path: Path):
    async with a_node(tmp_path, a_runtime(app=Start(ignores_signals=True))) as node:
        await node.create(a_manifest("web", terminationGracePeriodSeconds=30))
        pod = await node.until("web", lambda pod: pod.status.ready)
        before = clock.now()

        await node.admin.delete(type(pod), "web", "default")
        await node.until_gone("web", seconds=60)

        assert timedelta(seconds=29) < clock.now() - before < timedelta(seconds=32)
        assert (await node.runtime.inventory()).all == ()


@in_virtual_time
async def test_a_pause_as_long_as_the_grace_period_is_no_failure(tmp_path: Path):
    hook = {"preStop": {"sleep": {"seconds": 5}}}
    async with a_node(tmp_path, a_runtime()) as node:
        await node.create(a_manifest("web", a_container(lifecycle=hook), terminationGracePeriodSeconds=5))
        pod = await node.until("web", lambda pod: pod.status.ready)
        before = clock.now()

        await node.admin.delete(type(pod), "web", "default")
        await node.until_gone("web", seconds=60)
        events = await node.admin.list(Event, "default")

        assert timedelta(seconds=5) <= clock.now() - before < timedelta(seconds=8)
        told = {(event.reason, event.about.field_path) for event in events.items}
        assert ("Killing", "spec.containers{app}") in told
        assert "FailedPreStopHook" not in {reason for reason, _ in told}


@in_virtual_time
async def test_a_second_delete_with_less_grace_hurries(tmp_path: Path):
    async with a_node(tmp_path, a_runtime(app=Start(ignores_signals=True))) as node:
        await node.create(a_manifest("web", terminationGracePeriodSeconds=300))
        pod = await node.until("web", lambda pod: pod.status.ready)
        await node.admin.delete(type(pod), "web", "default")
        await asyncio.sleep(5)
        before = clock.now()

        await node.admin.delete(type(pod), "web", "default", grace_seconds=1)
        await node.until_gone("web")

        assert clock.now() - before < timedelta(seconds=4)


@in_virtual_time
async def test_a_pod_that_is_done_keeps_its_containers_until_it_is_deleted(tmp_path: Path):
    async with a_node(tmp_path, a_runtime(app=Start(exit_code=0))) as node:
        await node.create(a_manifest("job", restartPolicy="Never"))
        pod = await node.until("job", lambda pod: pod.status.phase == "Succeeded")
        kept = await node.runtime.inventory(pod.metadata.uid)

        await node.admin.delete(type(pod), "job", "default")
        await node.until_gone("job")
        await asyncio.sleep(1)

        assert status(pod).state.terminated.reason == "Completed"
        assert (len(kept.containers), len(kept.sandboxes)) == (1, 0)
        assert (await node.runtime.inventory()).all == ()


@in_virtual_time
async def test_a_kubelet_adopts_what_its_predecessor_left_running(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web"))
        before = await node.until("web", lambda pod: pod.status.ready)

        await node.crash()
        await asyncio.sleep(20)
        await node.start()
        await asyncio.sleep(20)

        after = await node.pod("web")
        assert status(after).container_id == status(before).container_id
        assert status(after).restart_count == 0
        assert find_condition(after.status.conditions, "Ready") == find_condition(before.status.conditions, "Ready")


@in_virtual_time
async def test_pods_deleted_while_the_kubelet_was_away_are_removed(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web"))
        pod = await node.until("web", lambda pod: pod.status.ready)
        await node.crash()

        await node.admin.delete(type(pod), "web", "default", grace_seconds=0)
        await node.start()
        await asyncio.sleep(10)

        assert (await node.runtime.inventory()).all == ()


@in_virtual_time
async def test_everything_comes_back_once_after_the_engine_restarted(tmp_path: Path):
    runtime = a_runtime()
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web"))
        pod = await node.until("web", lambda pod: pod.status.ready)

        runtime.is_away = True
        await asyncio.sleep(5)
        runtime.crash_all()
        runtime.is_away = False
        await node.until("web", lambda pod: status(pod).restart_count == 1 and pod.status.ready, seconds=60)

        inventory = await runtime.inventory(pod.metadata.uid)
        assert [record.is_running for record in inventory.containers] == [True, False]
        assert len(inventory.sandboxes) == 1


@in_virtual_time
async def test_probes_blame_no_container_for_an_engine_that_is_away(tmp_path: Path):
    runtime = a_runtime()
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web", a_container(livenessProbe=probe, readinessProbe=probe)))
        await node.until("web", lambda pod: pod.status.ready)

        runtime.is_away = True
        await asyncio.sleep(20)
        runtime.is_away = False
        await asyncio.sleep(20)

        pod = await node.pod("web")
        assert (status(pod).restart_count, pod.status.ready) == (0, True)


@in_virtual_time
async def test_a_failing_probe_restarts_a_container_at_its_threshold(tmp_path: Path):
    runtime = a_runtime()
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 10, "failureThreshold": 3}
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web", a_container(livenessProbe=probe)))
        await node.until("web", lambda pod: pod.status.ready)
        runtime.commands = lambda container_id, command: ExecResult(1, b"ill")
        before = clock.now()

        await node.until("web", lambda pod: status(pod).restart_count == 1, seconds=60)

        assert timedelta(seconds=20) <= clock.now() - before <= timedelta(seconds=31)


@in_virtual_time
async def test_pods_live_on_while_the_api_server_is_away(tmp_path: Path):
    runtime = a_runtime()
    async with a_node(tmp_path, runtime) as node:
        for name in ("calm", "unlucky"):
            await node.create(a_manifest(name))
            pod = await node.until(name, lambda pod: pod.status.ready)

        node.way.is_cut = True
        await asyncio.sleep(300)
        runtime.finish((await runtime.inventory(pod.metadata.uid)).containers[0].id, 1)
        await asyncio.sleep(300)
        restarted = (await runtime.inventory(pod.metadata.uid)).containers[0]
        node.way.is_cut = False
        await asyncio.sleep(30)

        assert (restarted.attempt, restarted.is_running) == (1, True)
        counts = {name: status(await node.pod(name)).restart_count for name in ("calm", "unlucky")}
        assert counts == {"calm": 0, "unlucky": 1}
        assert find_condition((await node.admin.get(Node, "n1")).status.conditions, "Ready").status == "True"


@in_virtual_time
async def test_the_node_is_not_ready_while_the_engine_is_long_away(tmp_path: Path):
    runtime = a_runtime()

    async def ready(node) -> str:
        conditions = (await node.admin.get(Node, "n1")).status.conditions
        found = find_condition(conditions, "Ready")
        return found.status if found else ""

    async with a_node(tmp_path, runtime) as node:
        await asyncio.sleep(5)
        readings = [await ready(node)]
        runtime.is_away = True
        await asyncio.sleep(15)
        readings.append(await ready(node))
        await asyncio.sleep(45)
        readings.append(await ready(node))
        runtime.is_away = False
        await asyncio.sleep(15)
        readings.append(await ready(node))

    assert readings == ["True", "True", "False", "True"]


@in_virtual_time
async def test_init_containers_run_one_after_the_other_and_sidecars_stop_last(tmp_path: Path):
    runtime = a_runtime(first=Start(exit_code=0))
    async with a_node(tmp_path, runtime) as node:
        sidecar = a_container("side", restartPolicy="Always")
        await node.create(a_manifest("web", initContainers=[a_container("first"), sidecar]))
        pod = await node.until("web", lambda pod: pod.status.ready)
        records = {record.name: record for record in (await runtime.inventory(pod.metadata.uid)).containers}

        assert records["first"].finished_at <= records["side"].started_at <= records["app"].started_at
        assert status(pod, "side").started


@in_virtual_time
async def test_an_image_that_cannot_be_pulled_is_tried_again_with_growing_pauses(tmp_path: Path):
    async with a_node(tmp_path, a_runtime()) as node:
        await node.create(a_manifest("web", a_container(image="registry.test/absent:1")))

        first = await node.until("web", lambda pod: waits_for(pod) == "ErrImagePull")
        second = await node.until("web", lambda pod: waits_for(pod) == "ImagePullBackOff")
        await asyncio.sleep(120)

        assert (first.status.phase, second.status.phase) == ("Pending", "Pending")
        events = (await node.admin.request("GET", "/api/v1/namespaces/default/events"))["items"]
        pulls = next(event["count"] for event in events if event["reason"] == "Pulling")
        assert pulls == 4  # at 0, 10, 30 and 70 seconds


@in_virtual_time
async def test_an_image_in_the_registry_is_fetched_and_run(tmp_path: Path):
    async with a_node(tmp_path, a_runtime()) as node:
        await node.create(a_manifest("web", a_container(image="registry.test/web:1")))

        await node.until("web", lambda pod: pod.status.ready)
        await asyncio.sleep(1)

        assert {"Pulling", "Pulled", "Created", "Started"} <= set(await node.reasons("web"))


@in_virtual_time
async def test_a_missing_config_map_holds_the_container_until_it_is_there(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web", a_container(envFrom=[{"configMapRef": {"name": "late"}}])))
        pod = await node.until("web", lambda pod: waits_for(pod) == "CreateContainerConfigError")

        await node.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"A": "b"}})

        assert status(pod).state.waiting.message == 'configmap "late" not found'
        await node.until("web", lambda pod: pod.status.ready)


@in_virtual_time
async def test_a_pod_past_its_deadline_fails(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web", activeDeadlineSeconds=60))

        pod = await node.until("web", lambda pod: pod.status.phase == "Failed", seconds=90)

        assert pod.status.reason == "DeadlineExceeded"


@in_virtual_time
async def test_two_pods_never_share_a_device_and_the_third_fails(tmp_path: Path):
    wish = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    async with a_node(tmp_path, gpus=(Gpu("GPU-a"), Gpu("GPU-b"))) as node:
        for name in ("one", "two"):
            await node.create(a_manifest(name, a_container(**wish)))
            await node.until(name, lambda pod: pod.status.ready)
        await node.create(a_manifest("three", a_container(**wish)))

        pod = await node.until("three", lambda pod: pod.status.phase == "Failed")

        granted = [record.gpu_ids for record in (await node.runtime.inventory()).containers]
        assert sorted(granted) == [("GPU-a",), ("GPU-b",)]
        assert pod.status.reason == "UnexpectedAdmissionError"
