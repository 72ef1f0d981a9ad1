"""Make the device claims of pods that name templates, and tell each pod what its claims are called.

A claim is the pod's own: the garbage collector takes it when the pod goes. Kubernetes: the resourceclaim controller.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod import Pod
from wherry.api.core.pod.spec import PodResourceClaim
from wherry.api.core.pod.status import PodResourceClaimStatus
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_claim_template import ResourceClaimTemplate
from wherry.client.controller import controller
from wherry.client.plan import Create, Event, Manifest, Plan, SetStatus
from wherry.client.world import World
from wherry.machinery.meta import controller_reference

CLAIM_OF_POD = "resource.kubernetes.io/pod-claim-name"


def has_claims(pod: Pod) -> bool:
    """Whether a pod wants devices by claims."""
    return bool(pod.spec.resource_claims)


def pods_of_claim(claim: ResourceClaim, _: World) -> Iterator[str]:
    """The pod that a claim was made for."""
    owner = claim.metadata.controller
    if owner is not None and owner.kind == Pod.kind.name:
        yield f"{claim.metadata.namespace}/{owner.name}"


def pods_of_template(template: ResourceClaimTemplate, world: World) -> Iterator[str]:
    """The pods that wait for a template."""
    for pod in world.list(Pod, namespace=template.metadata.namespace):
        if any(each.resource_claim_template_name == template.metadata.name for each in pod.spec.resource_claims):
            yield pod.key


@controller(
    Pod,
    wakes={ResourceClaim: pods_of_claim, ResourceClaimTemplate: pods_of_template},
    concerns=has_claims,
    component="resource_claim",
)
def plan(pod: Pod, world: World) -> Plan:
    """Create what is missing, and write the names down."""
    if not pod.is_active:
        return
    own = {claim.metadata.annotations.get(CLAIM_OF_POD): claim for claim in world.owned(pod, ResourceClaim)}
    wanted = [each for each in pod.spec.resource_claims if each.resource_claim_template_name]
    known = tuple(
        PodResourceClaimStatus(name=each.name, resource_claim_name=own[each.name].metadata.name)
        for each in wanted
        if each.name in own
    )
    if known != pod.status.resource_claim_statuses:
        yield SetStatus(pod.with_status(resource_claim_statuses=known))
    for each in wanted:
        if each.name not in own:
            yield from _make(pod, each, world)


def _make(pod: Pod, wanted: PodResourceClaim, world: World) -> Plan:
    name = wanted.resource_claim_template_name or ""
    template = world.get(ResourceClaimTemplate, name, pod.metadata.namespace)
    if template is None:
        why = f'PodResourceClaim {wanted.name}: resourceclaimtemplate "{name}" not found'
        yield Event(pod, "FailedResourceClaimCreation", why, "Warning")
        return
    yield Create(_claim(pod, wanted.name, template))


def _claim(pod: Pod, name: str, template: ResourceClaimTemplate) -> Manifest:
    meta = template.spec.metadata
    metadata = {
        "generateName": f"{pod.metadata.name}-{name}-",
        "namespace": pod.metadata.namespace,
        "labels": dict(meta.labels),
        "annotations": {**meta.annotations, CLAIM_OF_POD: name},
        "ownerReferences": [controller_reference(pod)],
    }
    kind = ResourceClaim.kind
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {key: value for key, value in metadata.items() if value},
        "spec": template.spec.manifest,
    }
