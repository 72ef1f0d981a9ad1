"""Who the pods of a StatefulSet are: names, ordinals, labels. Kubernetes: stateful_set_utils.go."""

from __future__ import annotations

from controllers.parts.history import REVISION_LABEL, template_of
from controllers.statefulset.claims import volumes
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.client.plan import Manifest

NAME_LABEL, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def ordinals(sts: StatefulSet) -> range:
    """The numbers of the pods there should be."""
    return range(sts.spec.ordinals.start, sts.spec.ordinals.start + sts.spec.replicas)


def pod_name(sts: StatefulSet, ordinal: int) -> str:
    """What the pod of that number is called, always."""
    return f"{sts.metadata.name}-{ordinal}"


def ordinal_of(pod: Pod) -> int:
    """The number in a pod's name, -1 if it has none; `web-01` is nobody's first pod."""
    digits = pod.metadata.name.rpartition("-")[2]
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 11 and str(int(digits)) == digits
    return int(digits) if is_number else -1


def is_member(sts: StatefulSet, pod: Pod) -> bool:
    """Whether the name says that the pod is one of this set."""
    ordinal = ordinal_of(pod)
    return ordinal >= 0 and pod.metadata.name == pod_name(sts, ordinal)


def identity_labels(sts: StatefulSet, ordinal: int) -> dict[str, str]:
    """The labels by which one pod can be selected."""
    return {NAME_LABEL: pod_name(sts, ordinal), INDEX_LABEL: str(ordinal)}


def new_pod(sts: StatefulSet, ordinal: int, revision: ControllerRevision) -> Manifest:
    """The pod of that number in that version, as JSON."""
    name = pod_name(sts, ordinal)
    pod = pod_from(template_of(revision), owner=sts, name=name)
    labels = {**(pod["metadata"].get("labels") or {}), **identity_labels(sts, ordinal)}
    pod["metadata"]["labels"] = {**labels, REVISION_LABEL: revision.metadata.name}
    spec = {**pod["spec"], "hostname": name, "volumes": volumes(sts, ordinal, pod["spec"].get("volumes") or ())}
    if sts.spec.service_name:
        spec["subdomain"] = sts.spec.service_name
    if not spec["volumes"]:
        del spec["volumes"]
    return {**pod, "spec": spec}
