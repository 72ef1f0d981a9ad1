"""Who is where: the nodes, the pods of a DaemonSet on each of them, and which of these are of the current version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from controllers.daemonset.fit import Fit, Fits
from controllers.daemonset.pods import node_of
from controllers.parts.history import REVISION_LABEL
from controllers.parts.percentages import scaled
from controllers.parts.readiness import is_available
from wherry.api.apps.daemonset import DaemonSet, RollingUpdate
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod


class Pair(NamedTuple):
    """The pods that stay on a node: the one of the current version, and the one of an older."""

    new: Pod | None
    old: Pod | None


@dataclass(frozen=True)
class Roster:
    """`pods` by node, the oldest first, those that have ended and go left out; `fits` by node.

    `strays` wait for nodes that are gone. `version` is the hash of the template that is wanted.
    """

    ds: DaemonSet
    version: str
    fits: dict[str, Fit]
    pods: dict[str, list[Pod]]
    strays: list[Pod]
    now: datetime

    @cached_property
    def wanted(self) -> list[str]:
        """The nodes that should have a pod."""
        return [node for node, fit in self.fits.items() if fit.runs]

    @property
    def is_surging(self) -> bool:
        """Whether the new pod comes before the old one goes."""
        return self.most_surge > 0

    @cached_property
    def most_surge(self) -> int:
        """On how many nodes there may be two pods."""
        return scaled(self._rolling.max_surge, len(self.wanted), round_up=True) if self._rolling else 0

    @cached_property
    def most_unavailable(self) -> int:
        """On how many nodes the pod may be missing."""
        most = scaled(self._rolling.max_unavailable, len(self.wanted), round_up=True) if self._rolling else 0
        return most if most or self.most_surge else 1

    @property
    def _rolling(self) -> RollingUpdate | None:
        strategy = self.ds.spec.update_strategy
        return (strategy.rolling_update or RollingUpdate()) if strategy.type == "RollingUpdate" else None

    def is_new(self, pod: Pod) -> bool:
        """Whether the pod is of the current version."""
        return pod.metadata.labels.get(REVISION_LABEL) == self.version

    def is_up(self, pod: Pod) -> bool:
        """Whether the node may count on the pod."""
        return is_available(pod, self.ds.spec.min_ready_seconds, self.now)

    def pair(self, node: str) -> Pair | None:
        """The pods that stay on the node, None if it has two of one kind and must be cleared up first."""
        staying = [pod for pod in self.pods.get(node, ()) if pod.metadata.deleted_at is None]
        new = [pod for pod in staying if self.is_new(pod)]
        old = [pod for pod in staying if not self.is_new(pod)]
        if len(new) > 1 or len(old) > 1:
            return None
        return Pair(next(iter(new), None), next(iter(old), None))


def roster_of(ds: DaemonSet, version: str, pods: Iterable[Pod], nodes: Iterable[Node], now: datetime) -> Roster:
    """Put everyone in place."""
    fits = Fits(ds)
    judged = {node.metadata.name: fits.on(node) for node in nodes}
    placed: defaultdict[str, list[Pod]] = defaultdict(list)
    strays = []
    for pod in sorted(pods, key=_age):
        node = node_of(pod)
        if node not in judged and not pod.spec.node_name:
            strays.append(pod)
        elif not (pod.is_finished and pod.metadata.deleted_at is not None):
            placed[node].append(pod)
    return Roster(ds, version, judged, dict(placed), strays, now)


def _age(pod: Pod) -> tuple[bool, str, str]:
    """Those that have a node come first, then the older."""
    return not pod.spec.node_name, str(pod.metadata.created_at), pod.metadata.name
