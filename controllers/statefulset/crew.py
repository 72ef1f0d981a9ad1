"""Who is who in a StatefulSet: the pods there should be, those that must go, and the versions they are of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controllers.parts.history import REVISION_LABEL, History
from controllers.parts.readiness import is_available
from controllers.statefulset.identity import ordinal_of, ordinals
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.statefulset import RollingUpdate, StatefulSet
from wherry.api.core.pod import Pod


@dataclass(frozen=True)
class Crew:
    """A StatefulSet with its pods: `replicas` by ordinal, upwards; `condemned` downwards.

    `current` is the version that all pods are of until a roll-out is complete, `update` the one that is wanted.
    """

    sts: StatefulSet
    current: ControllerRevision
    update: ControllerRevision
    replicas: dict[int, Pod | None]
    condemned: tuple[Pod, ...]
    now: datetime

    @property
    def is_ordered(self) -> bool:
        """Whether one pod waits for the other."""
        return self.sts.spec.pod_management_policy == "OrderedReady"

    @property
    def pods(self) -> list[Pod]:
        """Everyone who is there."""
        return [*(pod for pod in self.replicas.values() if pod is not None), *self.condemned]

    def is_up(self, pod: Pod) -> bool:
        """Whether others may count on the pod: available, and not about to go."""
        return is_running(pod) and is_available(pod, self.sts.spec.min_ready_seconds, self.now)

    def is_updated(self, pod: Pod) -> bool:
        """Whether the pod is of the version that is wanted."""
        return revision_of(pod) == self.update.metadata.name

    def version_for(self, ordinal: int) -> ControllerRevision:
        """The version in which a pod of that number is made now: below the partition it stays the old one."""
        if self.sts.spec.update_strategy.type != "RollingUpdate":
            return self.update
        return self.current if ordinal < self.sts.spec.ordinals.start + self.rolling.partition else self.update

    @property
    def rolling(self) -> RollingUpdate:
        """The bounds of a roll-out."""
        return self.sts.spec.update_strategy.rolling_update or RollingUpdate()


def crew_of(sts: StatefulSet, history: History, update: ControllerRevision, pods: Iterable[Pod], now: datetime) -> Crew:
    """Tell the pods that should be there from those that must go."""
    by_ordinal = {ordinal_of(pod): pod for pod in pods}
    replicas = {ordinal: by_ordinal.pop(ordinal, None) for ordinal in ordinals(sts)}
    condemned = tuple(pod for _, pod in sorted(by_ordinal.items(), reverse=True))
    current = history.named(sts.status.current_revision) or update
    return Crew(sts, current, update, replicas, condemned, now)


def is_running(pod: Pod) -> bool:
    """Whether the pod runs, is ready, and is not about to go."""
    return pod.status.phase == "Running" and pod.status.ready and pod.metadata.deleted_at is None


def revision_of(pod: Pod) -> str:
    """The name of the version that the pod is of."""
    return pod.metadata.labels.get(REVISION_LABEL, "")
