"""The book of queues, kept as pods and queues come and go; while there is no queue nothing is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from scheduler.pods import PodView
from scheduler.sharing.quotas import Book, queue_named, quota_of
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import QUEUE, Queue
from wherry.client.world import Shelf


class Limits:
    """See the module. The shelves are those that informers keep current, `pods` those that may hold something.

    `claimed` says how many cards each claim of a pod has, by the claim's uid.
    """

    def __init__(
        self,
        queues: Shelf[Queue],
        namespaces: Shelf[Namespace],
        pods: Callable[[], Iterable[Pod]],
        claimed: Callable[[PodView], Mapping[str, int]],
    ) -> None:
        self._queues, self._namespaces, self._pods, self._claimed = queues, namespaces, pods, claimed
        self._book, self._is_stale = Book(), True

    @property
    def book(self) -> Book:
        """Who holds what, as of now."""
        if self._is_stale:
            self._is_stale, before = False, self._book
            self._book = Book(quota_of(queue) for queue in self._queues.all())
            # Whoever is on his way to a node is known to the old book only.
            for pod in (*before.pods(), *map(PodView, self._pods())):
                if pod.uid in before or (pod.spec.node_name and not pod.pod.is_finished):
                    self.hold(pod)
        return self._book

    def count_anew(self) -> None:
        """Queues, or which namespace has which, are not what they were."""
        self._is_stale = True

    def view(self, pod: PodView) -> PodView:
        """The pod with why its queue keeps it; the same one if nothing does."""
        if not self.book.quotas and QUEUE not in pod.metadata.labels:
            return pod
        why = self.book.refusal(pod, self.queue_of(pod), self._claimed(pod))
        return pod.replace(quota=why) if why else pod

    def lent(self, pod: PodView) -> frozenset[str]:
        """The pods that hold what is the pod's queue's own."""
        if not self.book.quotas:
            return frozenset()
        return self.book.lent(pod, self.queue_of(pod), self._claimed(pod))

    def hold(self, pod: PodView) -> None:
        """A pod is on a node, or about to be."""
        if self.book.quotas:
            self.book.hold(self.queue_of(pod), pod, self._claimed(pod))

    def drop(self, uid: str) -> None:
        """A pod holds nothing any more."""
        if self.book.quotas:
            self.book.drop(uid)

    def queue_of(self, pod: PodView) -> str:
        """The queue that the pod names, or its namespace; empty if neither does."""
        namespace = self._namespaces.get(pod.metadata.namespace)
        return queue_named(pod, namespace.metadata.labels if namespace is not None else {})
