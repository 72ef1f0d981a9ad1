"""What a StatefulSet tells of itself. Kubernetes: updateStatus and completeRollingUpdate."""

from __future__ import annotations

from controllers.parts.readiness import is_available
from controllers.statefulset.crew import Crew, revision_of
from wherry.api.apps.statefulset import StatefulSetStatus
from wherry.api.core.pod import Pod


def counted(crew: Crew) -> StatefulSetStatus:
    """The counts, by version; once all pods are of the new version it is the current one."""
    sts, pods = crew.sts, crew.pods
    ready = [pod for pod in pods if pod.status.phase == "Running" and pod.status.ready]
    status = sts.status.replace(
        observed_generation=sts.metadata.generation,
        replicas=len(pods),
        ready_replicas=len(ready),
        available_replicas=sum(is_available(pod, sts.spec.min_ready_seconds, crew.now) for pod in ready),
        current_revision=crew.current.metadata.name,
        update_revision=crew.update.metadata.name,
        current_replicas=_staying(pods, crew.current.metadata.name),
        updated_replicas=_staying(pods, crew.update.metadata.name),
    )
    counts = {status.replicas, status.updated_replicas, status.ready_replicas}
    if sts.spec.update_strategy.type == "RollingUpdate" and counts == {sts.spec.replicas}:
        return status.replace(current_revision=status.update_revision, current_replicas=status.updated_replicas)
    return status


def _staying(pods: list[Pod], revision: str) -> int:
    return sum(pod.metadata.deleted_at is None and revision_of(pod) == revision for pod in pods)
