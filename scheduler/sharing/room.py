"""Sharing, as the scheduler's shell has it: what pods hold is counted for users and for queues.

Without a FairShare and without a Queue nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler.pods import PodView
from scheduler.queue import Queue as SchedulingQueue
from scheduler.sharing.fairness import Fairness
from scheduler.sharing.limits import Limits
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import Queue
from wherry.client.http import Client
from wherry.client.informer import Change, Informer, OptionalInformer


class Sharing:
    """See the module. `cards_of` counts a pod's cards; `waiting` are the pods without a node."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Pod],
        namespaces: Informer[Namespace],
        cards_of: Callable[[PodView], float],
        waiting: SchedulingQueue,
    ) -> None:
        self.fairness = Fairness(client, pods.shelf.all, cards_of, waiting.share_by)
        self.queues = OptionalInformer(client, Queue)
        self.limits = Limits(self.queues.shelf, namespaces.shelf, pods.shelf.all)
        self.queues.subscribe(lambda _: self.limits.count_anew())
        namespaces.subscribe(self._namespace_changed)

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """The copies, which somebody else keeps running."""
        return self.fairness.shares, self.queues

    def hold(self, pod: PodView) -> None:
        """A pod is on a node, or about to be."""
        self.fairness.hold(pod)
        self.limits.hold(pod)

    def finished(self, pod: Pod) -> None:
        """A pod that was on a node holds nothing any more."""
        self.fairness.hold(PodView(pod))
        self.limits.drop(PodView(pod).uid)

    def gone(self, uid: str) -> None:
        """A pod is no more."""
        self.fairness.drop(uid)
        self.limits.drop(uid)

    def forget(self, uid: str) -> None:
        """A pod could not be bound."""
        self.fairness.forget(uid)
        self.limits.drop(uid)

    def _namespace_changed(self, change: Change[Namespace]) -> None:
        before, after = (each.metadata.labels if each else {} for each in change)
        if self.limits.book.quotas and before != after:
            self.limits.count_anew()
