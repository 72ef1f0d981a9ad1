"""Which nodes count for a topology spread constraint. Kubernetes: nodeAffinityPolicy and nodeTaintsPolicy."""

from __future__ import annotations

import numpy as np

from scheduler.columns.arrays import Mask
from scheduler.columns.node_selectors import matching_any
from scheduler.columns.tolerations import untolerated
from scheduler.columns.window import Columns
from scheduler.pods.spreading import Constraint
from scheduler.pods.view import PodView


def included(constraint: Constraint, pod: PodView, nodes: Columns) -> Mask:
    """Where pods count that are there already: by default on nodes that the pod's selector and affinity match."""
    found: Mask = np.ones(len(nodes), dtype=np.bool_)
    if constraint.heeds_affinity:
        for key, value in pod.spec.node_selector.items():
            found &= nodes.label(key).is_in([value])
        affinity = pod.spec.affinity.node_affinity
        if affinity and affinity.required_during_scheduling_ignored_during_execution is not None:
            found &= matching_any(affinity.required_during_scheduling_ignored_during_execution, nodes)
    if constraint.heeds_taints:
        tolerations, hard = pod.spec.tolerations, ("NoSchedule", "NoExecute")
        found &= nodes.taints.where(lambda taints: not any(untolerated(tolerations, taints, hard)))
    return found
