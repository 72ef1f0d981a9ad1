"""Sharing, as the scheduler's shell has it: what pods hold is counted for users and for queues.

Without a FairShare and without a Queue nothing is counted.
"""

from __future__ import annotations

from typing import Any

from scheduler.devices.room import Devices
from scheduler.pods import PodView
from scheduler.queue import Queue as SchedulingQueue
from scheduler.sharing.fairness import Fairness
from scheduler.sharing.limits import Limits
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.queue import Queue
from wherry.client.http import Client
from wherry.client.informer import Change, Informer, OptionalInformer


class Sharing:
    """See the module. `devices` knows how many cards a pod has; `waiting` are the pods without a node."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Pod],
        namespaces: Informer[Namespace],
        devices: Devices,
        waiting: SchedulingQueue,
    ) -> None:
        self._pods = pods
        self.fairness = Fairness(client, pods.shelf.all, devices.lookup.cards_of, waiting.share_by)
        self.queues = OptionalInformer(client, Queue)
        self.limits = Limits(self.queues.shelf, namespaces.shelf, pods.shelf.all, devices.lookup.cards_claimed)
        devices.claims.subscribe(self._claim_changed)
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

    def _claim_changed(self, change: Change[ResourceClaim]) -> None:
        """A claim that was heard of after its pods has cards that they hold."""
        before, after = change
        if after is None or (before is not None and before.status.allocation == after.status.allocation):
            return
        for user in after.status.reserved_for:
            pod = self._pods.get(f"{after.metadata.namespace}/{user.name}")
            if pod is not None and pod.metadata.uid == user.uid and pod.spec.node_name and not pod.is_finished:
                self.hold(PodView(pod))

    def _namespace_changed(self, change: Change[Namespace]) -> None:
        before, after = (each.metadata.labels if each else {} for each in change)
        if self.limits.book.quotas and before != after:
            self.limits.count_anew()
