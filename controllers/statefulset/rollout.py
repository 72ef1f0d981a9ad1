"""Bring the pods of a StatefulSet to the current version, from the highest number down to the partition.

A pod is replaced by deleting it; `steps.py` makes the new one. Never more pods than `maxUnavailable` are missing by
our doing. Pods of an old version that are not available cost nothing and go at once, so a bad version under Parallel
can be rolled back. Under OrderedReady a pod that never gets ready stops everything, the way back included, until
somebody deletes it: as in Kubernetes, "forced rollback". Kubernetes: updateStatefulSetAfterInvariantEstablished.
"""

from __future__ import annotations

from controllers.parts.percentages import scaled
from controllers.statefulset.crew import Crew
from wherry.client.plan import Delete, Plan


def rolled(crew: Crew) -> Plan:
    """Delete the next pods of an old version."""
    if crew.sts.spec.update_strategy.type != "RollingUpdate":
        return
    spare = most_unavailable(crew) - sum(pod is None or not crew.is_up(pod) for pod in crew.replicas.values())
    first = crew.sts.spec.ordinals.start + crew.rolling.partition
    for ordinal, pod in reversed(crew.replicas.items()):
        if ordinal < first or pod is None or pod.metadata.deleted_at is not None or crew.is_updated(pod):
            continue
        if not crew.is_up(pod):
            yield Delete(pod)
        elif spare > 0:
            spare -= 1
            yield Delete(pod)


def most_unavailable(crew: Crew) -> int:
    """How many pods may be missing at once; percentages round down, but one may always be."""
    most = crew.rolling.max_unavailable
    return 1 if most is None else max(1, scaled(most, crew.sts.spec.replicas, round_up=False))
