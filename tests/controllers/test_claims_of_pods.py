"""Claims that are made for a pod: those of ephemeral volumes, and those on devices."""

from make import NOW, a_pod, an_object

from controllers import resource_claims
from controllers.volumes import ephemeral_volumes
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_claim_template import ResourceClaimTemplate
from wherry.client.plan import CheckAgain, Create, Event, SetStatus
from wherry.client.world import World
from wherry.machinery.meta import controller_reference

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
SCRATCH = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}}}
DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example"}}]}}


def test_an_ephemeral_volume_gets_a_claim_named_after_the_pod():
    pod = a_pod("web", volumes=[SCRATCH])

    [create] = ephemeral_volumes.plan(pod, World(pod))

    metadata = {"labels": {"a": "b"}, "name": "web-scratch", "namespace": "default"}
    assert create == Create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**metadata, "ownerReferences": [controller_reference(pod)]},
            "spec": SPEC,
        }
    )


def test_a_claim_that_is_there_is_left_alone_and_one_of_others_is_told_of():
    pod = a_pod("web", volumes=[SCRATCH])
    own = an_object(PersistentVolumeClaim, "web-scratch", owner=pod, spec=SPEC)
    others = an_object(PersistentVolumeClaim, "web-scratch", spec=SPEC)

    assert list(ephemeral_volumes.plan(pod, World(pod, own))) == []
    event, again = ephemeral_volumes.plan(pod, World(pod, others))
    assert isinstance(event, Event)
    assert event.message == "PVC default/web-scratch was not created for pod default/web (pod is not owner)"
    assert again == CheckAgain(60.0)


def test_a_pod_that_goes_gets_nothing_and_others_are_no_concern():
    pod = a_pod("web", volumes=[SCRATCH], deleted=NOW)

    assert list(ephemeral_volumes.plan(pod, World(pod))) == []
    assert ephemeral_volumes.has_own_claims(pod)
    assert not ephemeral_volumes.has_own_claims(a_pod(volumes=[{"name": "x", "emptyDir": {}}]))


WANTS = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}, {"name": "shared", "resourceClaimName": "tpu"}]


def a_template() -> ResourceClaimTemplate:
    return an_object(ResourceClaimTemplate, "one-gpu", spec={"metadata": {"labels": {"a": "b"}}, "spec": DEVICES})


def test_a_device_claim_is_made_from_its_template():
    pod = a_pod("train", resourceClaims=WANTS)

    [create] = resource_claims.plan(pod, World(pod, a_template()))

    metadata = {"generateName": "train-gpu-", "namespace": "default", "labels": {"a": "b"}}
    metadata |= {"annotations": {"resource.kubernetes.io/pod-claim-name": "gpu"}}
    assert create.manifest["metadata"] == {**metadata, "ownerReferences": [controller_reference(pod)]}
    assert create.manifest["spec"] == DEVICES


def test_the_pod_is_told_what_its_claim_is_called():
    pod = a_pod("train", resourceClaims=WANTS)
    annotations = {"resource.kubernetes.io/pod-claim-name": "gpu"}
    claim = an_object(ResourceClaim, "train-gpu-x7k", owner=pod, annotations=annotations, spec=DEVICES)

    [action] = resource_claims.plan(pod, World(pod, a_template(), claim))

    assert isinstance(action, SetStatus)
    [status] = action.obj.status.resource_claim_statuses
    assert (status.name, status.resource_claim_name) == ("gpu", "train-gpu-x7k")


def test_a_template_that_is_missing_is_told_of():
    pod = a_pod("train", resourceClaims=WANTS)

    [event] = resource_claims.plan(pod, World(pod))

    assert (event.reason, event.type) == ("FailedResourceClaimCreation", "Warning")
    assert list(resource_claims.pods_of_template(a_template(), World(pod))) == ["default/train"]
