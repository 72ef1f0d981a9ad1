"""The pods of a DaemonSet: each names its node in its affinity, and is placed there by the scheduler.

A pod that replaces a failed one carries the number of failures before it in an annotation, so that back-off survives
a new leader. Kubernetes: daemonset_util.go. Differs: Kubernetes keeps these numbers in memory.
"""

from __future__ import annotations

from typing import Any

from controllers.daemonset.fit import automatic_tolerations
from controllers.parts.history import REVISION_LABEL
from wherry.api.apps.daemonset import GENERATION, DaemonSet
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.client.plan import Manifest

GENERATION_LABEL = "pod-template-generation"
FAILURES = "daemonset.wherry.dev/failures"

Json = dict[str, Any]


def new_pod(ds: DaemonSet, node: str, version: str, failures: int = 0) -> Manifest:
    """The pod for a node in a version (given by its hash), as JSON."""
    pod = pod_from(ds.spec.template, owner=ds)
    metadata, spec = pod["metadata"], pod["spec"]
    labels = {**(metadata.get("labels") or {}), REVISION_LABEL: version}
    generation = ds.metadata.annotations.get(GENERATION)
    metadata["labels"] = labels | ({GENERATION_LABEL: generation} if generation else {})
    if failures:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), FAILURES: str(failures)}
    return {
        **pod,
        "spec": {
            **spec,
            "affinity": _affinity(spec.get("affinity") or {}, node),
            "tolerations": _tolerations(spec.get("tolerations") or [], bool(spec.get("hostNetwork"))),
        },
    }


def _affinity(affinity: Json, node: str) -> Json:
    """The controller has judged the node: all that is left to say is its name."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), **required}}


def _tolerations(given: list[Json], host_network: bool) -> list[Json]:
    return [*given, *(one for one in automatic_tolerations(host_network) if one not in given)]


def node_of(pod: Pod) -> str:
    """The node that the pod is on or meant for; empty if it names none."""
    affinity = pod.spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    if pod.spec.node_name or not required:
        return pod.spec.node_name
    fields = (field for term in required.node_selector_terms for field in term.match_fields)
    named = (field.values for field in fields if (field.key, field.operator) == ("metadata.name", "In"))
    return next((values[0] for values in named if len(values) == 1), "")


def failures_before(pod: Pod) -> int:
    """How many failed pods in a row this one replaced."""
    text = pod.metadata.annotations.get(FAILURES, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
