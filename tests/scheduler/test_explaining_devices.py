"""What people are told about pods that claim devices: the same as the scheduler finds."""

from make import a_container, a_node, a_pod, an_object
from scheduling import all_plugins

from scheduler.explaining.device_hints import device_hints
from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.manifests import brought_by, wanted_by
from scheduler.explaining.picture import Objects, Picture
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import DRIVER, fake_gpus, slice_manifest
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_claim_template import ResourceClaimTemplate
from wherry.api.resource.resource_slice import ResourceSlice

GROUP = "resource.k8s.io/v1"
REQUEST = {"name": "cards", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount"}}


def asking_for(count):
    return {"devices": {"requests": [{**REQUEST, "exactly": {**REQUEST["exactly"], "count": count}}]}}


def a_picture(*pods, count=2, claims=(), expression=f'device.driver == "{DRIVER}"'):
    nodes = ("gpu-1", "gpu-2")
    selectors = [{"cel": {"expression": expression}}]
    template = an_object("ResourceClaimTemplate", "cards", api_version=GROUP, spec={"spec": asking_for(count)})
    objects = {
        Node: [a_node(name, cpu="8") for name in nodes],
        Pod: pods,
        ResourceSlice: [ResourceSlice.read(slice_manifest(name, name, fake_gpus(name, 4), 1)) for name in nodes],
        DeviceClass: [an_object("DeviceClass", "gpu", api_version=GROUP, spec={"selectors": selectors})],
        ResourceClaim: claims,
        ResourceClaimTemplate: [template],
    }
    return Picture(Objects(objects), {"default-scheduler": all_plugins()})


def training(name="t", template="cards"):
    use = {"name": "gpus", "resourceClaimTemplateName": template}
    return a_pod(name, uid=name, resource_claims=[use])


def told_of(picture, *pods):
    told = forecast(picture, pods)
    return told.verdict, [fate.judgement.decision.message for fate in told.fates if not fate.node]


def test_pods_in_thought_take_the_devices_that_templates_would_claim_for_them():
    told = forecast(a_picture(count=2), [training(f"t{n}") for n in range(5)])

    assert sorted(fate.node for fate in told.fates) == ["", "gpu-1", "gpu-1", "gpu-2", "gpu-2"]
    assert told.fates[4].judgement.decision.message == "0/2 nodes are available: 2 cannot allocate all claims."


def test_more_than_any_node_has_a_template_that_is_missing_and_a_broken_selector_do_not_fit():
    too_many = told_of(a_picture(count=5), training())
    missing = told_of(a_picture(), training(template="none"))
    verdict, [broken] = told_of(a_picture(expression='device.attributes["a.b"].c > 1'), training())

    assert too_many == (Verdict.DOES_NOT_FIT, ["0/2 nodes are available: 2 cannot allocate all claims."])
    assert missing == (Verdict.DOES_NOT_FIT, ['0/2 nodes are available: resourceclaimtemplate "none" not found.'])
    assert verdict == Verdict.DOES_NOT_FIT
    assert "CEL" in broken or "gpu" in broken


def hinted(picture, pod):
    view = picture.view(picture.imagined(pod))
    return list(device_hints(view, picture.judged(view, preempts=False).decision, picture))


def test_it_is_said_which_devices_would_have_to_become_free_and_who_has_them():
    picture = a_picture(count=4)
    for name in ("gpu-1", "gpu-2"):
        one = a_pod(f"on-{name}", uid=name, requests={"nvidia.com/gpu": "1" if name == "gpu-1" else "2"})
        picture.place(picture.view(one), name)

    assert hinted(picture, training()) == [
        "it fits on gpu-1 when 1 device frees: gpu-0 of pod gpu-1",
        "it fits on gpu-2 when 2 devices free: gpu-0 of pod gpu-2, gpu-1 of pod gpu-2",
    ]
    assert hinted(a_picture(count=9), training()) == ["no node has such devices, even if nobody had any"]
    part = a_pod("part", containers=[a_container(requests={"wherry.dev/gpu-memory": "200Gi"})])
    assert hinted(picture, part) == ["no node has such devices, even if nobody had any"]


def test_cards_that_claims_hold_are_not_there_for_pods_that_count_them():
    picture = a_picture(count=4)
    counting = [a_pod(f"c{n}", uid=f"c{n}", requests={"nvidia.com/gpu": "1"}) for n in range(1)]

    forecast(picture, [training("a"), training("b")])

    assert not picture.judged(picture.view(counting[0])).decision.winner


def test_a_pod_that_waits_is_judged_with_the_claims_that_it_has():
    use = {"name": "gpus", "resourceClaimName": "mine"}
    claim = an_object("ResourceClaim", "mine", api_version=GROUP, spec=asking_for(5))
    pod = a_pod("t", uid="t", resource_claims=[use])

    picture = a_picture(pod, claims=[claim])

    assert picture.judged(picture.view(pod)).decision.message == (
        "0/2 nodes are available: 2 cannot allocate all claims."
    )


def test_a_manifest_brings_its_claims_and_a_pod_of_its_own_name_keeps_it():
    template = {"kind": "ResourceClaimTemplate", "metadata": {"name": "cards"}, "spec": {}}
    pod = {"kind": "Pod", "metadata": {"name": "giant"}, "spec": {}}

    assert list(brought_by(template, "bob")) == [{**template, "metadata": {"namespace": "bob", "name": "cards"}}]
    assert [each.name for each in wanted_by(pod, "bob")] == ["giant"]
    assert list(brought_by(pod, "bob")) == []
