"""A node tells of its cards, gives out those that were granted, and takes a broken one out alone."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from make import a_container, a_pod

from kubelet.resources.gpus import Gpus, NotEnough, StillInUse
from kubelet.resources.nvml import read_gpus
from tests.apiserver.local_api import running_api
from tests.kubelet.nodes import a_container as a_real_container
from tests.kubelet.nodes import a_manifest, a_node, status, waits_for
from wherry.api.core.node import Node
from wherry.api.resource.gpu import GRANTED, MEMORY, SHARE, Gpu, fake_gpus
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client import clock
from wherry.machinery.errors import Forbidden

CARDS = fake_gpus("n1", 4)
IDS = tuple(card.uuid for card in CARDS)


def a_gpu_pod(name, count=1, record=None):
    annotations = {} if record is None else {GRANTED: ",".join(record)}
    container = a_container(resources={"limits": {"nvidia.com/gpu": str(count)}})
    return a_pod(name, annotations=annotations, containers=[container])


def given(gpus, pod, recorded=None):
    return gpus.allocate(pod, pod.spec.containers[0], recorded or {})


def test_a_pod_gets_exactly_the_cards_of_its_record():
    gpus, pod = Gpus(CARDS), a_gpu_pod("one", 2, [IDS[1], IDS[3]])

    assert given(gpus, pod) == given(gpus, pod) == (IDS[1], IDS[3])


def a_part(name, uuid, size="10Gi"):
    annotations = {GRANTED: uuid, SHARE: f"{10 * 1024**3}/{CARDS[0].memory_bytes}"} if uuid else {}
    container = a_container(resources={"limits": {MEMORY: size}})
    return a_pod(name, uid=name, annotations=annotations, containers=[container, a_container("plain")])


def test_several_pods_have_parts_of_one_card_but_not_while_somebody_has_the_whole():
    gpus, whole = Gpus(CARDS), a_gpu_pod("whole", 1, [IDS[0]])
    first, second = a_part("first", IDS[1]), a_part("second", IDS[1])

    shares = [gpus.share(pod, container) for pod in (first, second) for container in pod.spec.containers]
    assert shares == [(IDS[1],), (), (IDS[1],), ()]
    given(gpus, whole)
    with pytest.raises(StillInUse, match=IDS[0]):
        gpus.share(a_part("third", IDS[0]), a_part("third", IDS[0]).spec.containers[0])
    with pytest.raises(StillInUse, match=IDS[1]):
        given(gpus, a_gpu_pod("other", 1, [IDS[1]]))
    with pytest.raises(NotEnough, match="no card that works was granted"):
        gpus.share(a_part("none", ""), a_part("none", "").spec.containers[0])


def test_who_has_no_record_gets_what_is_written_down_for_nobody():
    recorded = {IDS[0]: "other", IDS[2]: "other"}

    assert given(Gpus(CARDS), a_gpu_pod("one", 2), recorded) == (IDS[1], IDS[3])


def test_a_granted_card_that_its_last_owner_still_has_is_waited_for():
    gpus, first = Gpus(CARDS), a_gpu_pod("one", 1, [IDS[0]])
    given(gpus, first)

    with pytest.raises(StillInUse, match=IDS[0]):
        given(gpus, a_gpu_pod("two", 1, [IDS[0]]))
    gpus.release(first.metadata.uid)
    assert given(gpus, a_gpu_pod("two", 1, [IDS[0]])) == (IDS[0],)


def test_a_granted_card_that_broke_meanwhile_is_not_given():
    gpus = Gpus([replace(CARDS[0], trouble="lost"), *CARDS[1:]])

    with pytest.raises(NotEnough, match="Requested: 1, Available: 0"):
        given(gpus, a_gpu_pod("one", 1, [IDS[0]]))


def test_a_card_that_falls_off_the_bus_stays_known_until_it_comes_back():
    gpus = Gpus(CARDS)

    assert [card.uuid for card in gpus.see(CARDS[1:])] == [IDS[0]]
    assert (gpus.ids, gpus.healthy_ids) == (IDS, IDS[1:])
    assert gpus.see(CARDS[1:]) == []
    assert gpus.see(CARDS) == []
    assert gpus.healthy_ids == IDS


async def test_a_node_publishes_its_cards_and_a_broken_one_is_out_alone(tmp_path):
    async with a_node(tmp_path, gpus=CARDS) as node:
        await node.create(a_manifest("train", a_real_container(resources={"limits": {"nvidia.com/gpu": "1"}})))
        await node.until("train", lambda pod: status(pod).state.running)
        node.kubelet.node.check_now()
        devices = node.kubelet._devices

        lost = next(card for card in CARDS if devices._gpus.users(card.uuid))
        for card in devices._gpus.see(tuple(card for card in CARDS if card is not lost)):
            devices._tell(card)
        await devices._publisher.publish(devices._gpus.cards)

        slice = await node.admin.get(ResourceSlice, "n1-gpu.nvidia.com")
        owner = await node.admin.get(Node, "n1")
        assert [reference.uid for reference in slice.metadata.owner_references] == [owner.metadata.uid]
        assert (slice.spec.pool.generation, len(slice.spec.devices)) == (2, 4)
        assert [device.name for device in slice.spec.devices if device.taints] == [lost.name]
        for _ in range(400):  # events are written when there is time
            if "DeviceUnhealthy" in await node.reasons("train"):
                break
            await asyncio.sleep(0.05)
        assert "DeviceUnhealthy" in await node.reasons("train")


async def test_a_node_may_write_slices_of_its_own_devices_only():
    from tests.kubelet.local_transport import LocalTransport
    from tests.kubelet.nodes import _client
    from wherry.client.device_slices import Publisher

    async with running_api(now=clock.now) as api:
        first, second = (
            _client(LocalTransport(api, f"system:node:{name}", ("system:nodes",))) for name in ("n1", "n2")
        )
        for client, name in ((first, "n1"), (second, "n2")):
            await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        await Publisher(first, "n1").publish(CARDS)

        with pytest.raises(Forbidden):
            await Publisher(second, "n1").publish(CARDS[:1])
        with pytest.raises(Forbidden):
            await second.delete(ResourceSlice, "n1-gpu.nvidia.com")
        await Publisher(first, "n1").publish(CARDS[:1])


class FakeNvml:
    """A driver with two linked cards, of which the second is divided and silent about most things."""

    class NVMLError(Exception):
        """What every question may raise."""

    def __getattr__(self, name):
        def question(*arguments):
            try:
                return self.answers[name, *arguments]
            except KeyError:
                raise self.NVMLError(name) from None

        return question

    def __init__(self):
        self.answers = {
            ("nvmlSystemGetDriverVersion",): b"535.05",
            ("nvmlDeviceGetCount",): 3,
            ("nvmlDeviceGetMigMode", 1): (1, 1),
            ("nvmlDeviceGetMaxMigDeviceCount", 1): 7,
            ("nvmlDeviceGetMigDeviceHandleByIndex", 1, 0): "slice",
            ("nvmlDeviceGetUUID", "slice"): "MIG-1",
            ("nvmlDeviceGetName", "slice"): "NVIDIA H100 MIG 1g.10gb",
            ("nvmlDeviceGetMemoryInfo", "slice"): SimpleNamespace(total=10 * 1024**3),
            ("nvmlDeviceGetArchitecture", 0): 9,
            ("nvmlDeviceGetCudaComputeCapability", 0): (9, 0),
        }
        for index in range(2):
            bus = f"00000000:0{index + 1}:00.0"
            self.answers |= {
                ("nvmlDeviceGetHandleByIndex", index): index,
                ("nvmlDeviceGetUUID", index): f"GPU-{index}",
                ("nvmlDeviceGetName", index): "NVIDIA H100",
                ("nvmlDeviceGetMinorNumber", index): index,
                ("nvmlDeviceGetPciInfo", index): SimpleNamespace(busId=bus),
                ("nvmlDeviceGetMemoryInfo", index): SimpleNamespace(total=80 * 1024**3),
                ("nvmlDeviceGetNvLinkState", index, 0): 1,
                ("nvmlDeviceGetNvLinkRemotePciInfo", index, 0): SimpleNamespace(busId=f"00000000:0{2 - index}:00.0"),
            }


def test_the_driver_is_asked_for_all_it_knows_and_forgiven_what_it_does_not():
    whole, part = read_gpus(FakeNvml())

    assert whole == Gpu(
        "GPU-0",
        "gpu-0",
        "NVIDIA H100",
        "Hopper",
        "Nvidia",
        "9.0.0",
        "535.05",
        80 * 1024**3,
        "0000:01:00.0",
        nvlink_group="0000:01:00.0",
    )
    assert (part.uuid, part.name, part.profile, part.parent) == ("MIG-1", "gpu-1-mig-0", "1g.10gb", "GPU-1")
    assert (part.memory_bytes, part.is_whole, part.trouble) == (10 * 1024**3, False, "")


def test_a_card_that_does_not_answer_is_in_trouble():
    driver = FakeNvml()
    del driver.answers["nvmlDeviceGetMemoryInfo", 0]

    assert next(read_gpus(driver)).trouble == "the driver does not reach it"


async def test_a_container_gets_the_cards_of_the_claims_it_names_once_its_pod_may_use_them(tmp_path):
    async with a_node(tmp_path, gpus=CARDS) as node:
        kind = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim"}
        requests = [{"name": name, "exactly": {"deviceClassName": "gpu", "count": 1}} for name in ("big", "small")]
        await node.create({**kind, "metadata": {"name": "c"}, "spec": {"devices": {"requests": requests}}})
        use = {"claims": [{"name": "cards", "request": "small"}]}
        claims = [{"name": "cards", "resourceClaimName": "c"}]
        await node.create(a_manifest("train", a_real_container(resources=use), resourceClaims=claims))
        await node.until("train", lambda pod: waits_for(pod) == "CreateContainerConfigError")

        pod = await node.pod("train")
        given = [{"request": name, "driver": "gpu.nvidia.com", "pool": "n1"} for name in ("big", "small")]
        results = [{**each, "device": f"gpu-{index + 1}"} for index, each in enumerate(given)]
        user = {"resource": "pods", "name": "train", "uid": pod.metadata.uid}
        status_now = {"allocation": {"devices": {"results": results}}, "reservedFor": [user]}
        await node.admin.patch(ResourceClaim, "c", "default", {"status": status_now}, subresource="status")
        await node.until("train", lambda pod: status(pod).state.running)

        [container] = (await node.runtime.inventory(pod.metadata.uid)).containers
        assert container.gpu_ids == (IDS[2],)


def test_the_cards_of_a_claim_are_shared_by_pods_and_kept_from_others():
    gpus, counting = Gpus(CARDS), a_gpu_pod("counts", 4)

    gpus.claim("first", [IDS[0]])
    gpus.claim("second", [IDS[0]])
    gpus.release("first")
    with pytest.raises(NotEnough, match="Requested: 4, Available: 3"):
        given(gpus, counting)
    gpus.release("second")
    assert given(gpus, counting) == IDS
    with pytest.raises(StillInUse):
        gpus.claim("third", [IDS[0]])
