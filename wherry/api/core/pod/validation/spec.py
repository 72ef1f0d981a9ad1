"""A pod's spec as a whole, and the two places where it stands: a pod and a pod template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from wherry.api.core.pod.spec import TOKEN_VOLUME, PodResourceClaim, PodSpec
from wherry.api.core.pod.validation.containers import check_all_containers, check_image_of_pod
from wherry.api.core.pod.validation.network import (
    DNS_POLICIES,
    check_dns,
    check_host_alias,
    check_host_network_ports,
)
from wherry.api.core.pod.validation.scheduling import check_affinity, check_gates, check_spreading, check_toleration
from wherry.api.core.pod.validation.security import check_host_namespaces, check_pod_security
from wherry.api.core.pod.validation.volumes import check_volumes
from wherry.api.core.resource_rules import CONTAINER_RESOURCES, check_requests_and_limits, is_huge_page
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported
from wherry.machinery.validation import (
    MAX_INT32,
    check_annotations,
    check_labels,
    check_name,
    each,
    in_range,
    one_of,
    required_name,
    under,
)

if TYPE_CHECKING:
    from wherry.api.core.pod.resource import Pod, PodTemplate

RESTART_POLICIES = ("Always", "Never", "OnFailure")
PREEMPTION_POLICIES = ("Never", "PreemptLowerPriority")
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
# Specs that have no fault, as JSON; how many and how long ones: large pods.
MOST_REMEMBERED, LONGEST_REMEMBERED = 128, 8192
_faultless: dict[tuple[bytes, bool], None] = {}
_TOKEN_VOLUME = re.compile(rb'"%s[a-z0-9]{%d}"' % (TOKEN_VOLUME.encode(), names.SUFFIX_LENGTH))
_INT32 = re.compile("0|-?[1-9][0-9]{0,9}")


def check_pod(pod: Pod) -> Iterator[FieldError]:
    """Everything about a pod but its metadata."""
    yield from under("metadata.annotations", _check_pod_annotations(pod.metadata.annotations, pod.spec))
    yield from under("spec", check_pod_spec(pod.spec, pod_name=pod.metadata.name))
    if not pod.spec.service_account_name:
        yield from under("spec", _check_tokens_have_an_account(pod.spec))
    yield from each("spec.containers", pod.spec.containers, check_image_of_pod)
    yield from each("spec.initContainers", pod.spec.init_containers, check_image_of_pod)


def check_template(template: PodTemplate) -> Iterator[FieldError]:
    """A pod template; paths begin there."""
    meta, spec = template.metadata, template.spec
    yield from check_labels("labels", meta.labels)
    yield from check_annotations("annotations", meta.annotations)
    yield from under("annotations", _check_pod_annotations(meta.annotations, spec))
    yield from under("spec", check_pod_spec(spec))
    if spec.ephemeral_containers:
        yield forbidden("spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def check_pod_spec(spec: PodSpec, pod_name: str = "") -> Iterator[FieldError]:
    """The spec of a pod, or (without a pod's name) of a template."""
    # Pods of one template have the same spec, so most that come have been found without a fault before.
    known = (_text_of_siblings(spec.to_json()), bool(pod_name))
    if known in _faultless:
        return
    is_faultless = True
    for fault in chain(
        under("volumes", check_volumes(spec.volumes, pod_name)), _check_beside_volumes(spec, is_pod=bool(pod_name))
    ):
        is_faultless = False
        yield fault  # one at a time: whoever asks has enough of them at some point
    # The names of some claims follow from the pod's.
    is_own = any("ephemeral" in volume.raw for volume in spec.volumes)
    if is_faultless and not is_own and len(known[0]) <= LONGEST_REMEMBERED:
        _faultless[known] = None
        if len(_faultless) > MOST_REMEMBERED:
            # Two threads may be here at once.
            _faultless.pop(next(iter(tuple(_faultless)), known), None)


def _text_of_siblings(text: bytes) -> bytes:
    """A spec's JSON without the name by which alone pods of one template differ: that of the volume with their token.

    What stands in its place is in no JSON, and every other name stays, so two that are equal have the same faults.
    """
    found = _TOKEN_VOLUME.search(text)
    return text.replace(found[0], b'"\0"') if found else text


def _check_beside_volumes(spec: PodSpec, *, is_pod: bool) -> Iterator[FieldError]:
    yield from under("resourceClaims", _check_resource_claims(spec.resource_claims))
    yield from check_all_containers(spec)
    yield from _check_pod_resources(spec)
    yield from check_host_network_ports(spec, is_pod=is_pod)
    yield from one_of("restartPolicy", spec.restart_policy, RESTART_POLICIES)
    yield from one_of("dnsPolicy", spec.dns_policy, DNS_POLICIES)
    yield from check_labels("nodeSelector", spec.node_selector)
    yield from under("securityContext", check_pod_security(spec))
    yield from under("affinity", check_affinity(spec.affinity))
    yield from under("dnsConfig", check_dns(spec))
    for index, gate in enumerate(spec.readiness_gates):
        yield from check_name(f"readinessGates[{index}].conditionType", gate.condition_type, names.qualified_name)
    yield from under("schedulingGates", check_gates(spec.scheduling_gates))
    yield from under("topologySpreadConstraints", check_spreading(spec.topology_spread_constraints))
    yield from check_host_namespaces(spec)
    yield from each("tolerations", spec.tolerations, check_toleration)
    yield from each("hostAliases", spec.host_aliases, check_host_alias)
    yield from _check_names(spec)
    if spec.active_deadline_seconds is not None:
        yield from in_range("activeDeadlineSeconds", spec.active_deadline_seconds, 1, MAX_INT32)
    yield from one_of("preemptionPolicy", spec.preemption_policy, PREEMPTION_POLICIES)
    yield from under("overhead", check_requests_and_limits({}, spec.overhead))


def _check_names(spec: PodSpec) -> Iterator[FieldError]:
    for field, name, rule in (
        ("serviceAccountName", spec.service_account_name, names.dns1123_subdomain),
        ("nodeName", spec.node_name, names.dns1123_subdomain),
        ("hostname", spec.hostname, names.dns1123_label),
        ("subdomain", spec.subdomain, names.dns1123_label),
        ("priorityClassName", spec.priority_class_name, names.dns1123_subdomain),
        ("runtimeClassName", spec.runtime_class_name, names.dns1123_subdomain),
    ):
        if name:
            yield from check_name(field, name, rule)
    if spec.os is not None and spec.os.name not in ("linux", "windows"):
        yield not_supported("os", spec.os.name, ("linux", "windows"))


def _check_resource_claims(claims: tuple[PodResourceClaim, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        path = f"[{index}]"
        if claim.name in seen:
            yield duplicate(f"{path}.name", claim.name)
        else:
            yield from required_name(f"{path}.name", claim.name, names.dns1123_label)
        seen.add(claim.name)
        by_name, by_template = claim.resource_claim_name, claim.resource_claim_template_name
        if by_name is not None and by_template is not None:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(path, claim.to_wire(), why)
        if by_name is None and by_template is None:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            yield invalid(path, claim.to_wire(), why)
        for field, name in (("resourceClaimName", by_name), ("resourceClaimTemplateName", by_template)):
            if name is not None:
                yield from check_name(f"{path}.{field}", name, names.dns1123_subdomain)


def _check_pod_resources(spec: PodSpec) -> Iterator[FieldError]:
    """Requests and limits of the pod as a whole. Their sum over the containers is the kubelet's concern."""
    if spec.resources is None:
        return
    if spec.resources.claims:
        yield forbidden("resources.claims", "claims cannot be set for Resources at pod-level")
    yield from under("resources", check_requests_and_limits(spec.resources.requests, spec.resources.limits))
    for kind, amounts in (("requests", spec.resources.requests), ("limits", spec.resources.limits)):
        for name in amounts:
            if name not in ("cpu", "memory") and not is_huge_page(name) and name in CONTAINER_RESOURCES:
                yield not_supported(f"resources.{kind}[{name}]", name, ("cpu", "hugepages-", "memory"))


def _check_pod_annotations(annotations: Mapping[str, str], spec: PodSpec) -> Iterator[FieldError]:
    if MIRROR in annotations and not spec.node_name:
        why = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid(f"[{MIRROR}]", annotations[MIRROR], why)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not (_INT32.fullmatch(cost) and -MAX_INT32 - 1 <= int(cost) <= MAX_INT32):
        yield invalid(f"[{DELETION_COST}]", cost, "must be a 32bit integer")


def _check_tokens_have_an_account(spec: PodSpec) -> Iterator[FieldError]:
    for index, volume in enumerate(spec.volumes):
        for source_index, source in enumerate((volume.raw.get("projected") or {}).get("sources") or ()):
            if "serviceAccountToken" in source:
                path = f"volumes[{index}].projected.sources[{source_index}].serviceAccountToken"
                yield forbidden(path, "must not be specified when serviceAccountName is not set")
