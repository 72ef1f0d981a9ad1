"""Quotas: how much the pods of a queue hold, whether one more may come, and which are there on borrowed quota.

Within its nominal amounts a queue's pod may go wherever it fits. Beyond them it borrows: as long as all queues together
hold no more than all have. Who comes back for what is his own takes it from those who borrow: of a queue that holds
more than is its own, the least important and youngest pods are there on borrowed quota.

Pure. Kubernetes: none; the words are those of Kueue, whose cohorts are one here: all queues lend to each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from scheduler.explaining.text import amount_text
from scheduler.pods import PodView
from scheduler.pods.requests import amount
from wherry.api.resource.gpu import MEMORY, RESOURCE
from wherry.api.sharing.queue import QUEUE, Queue
from wherry.api.sharing.user import bound_at

Amounts = Mapping[str, int]
NOTHING: Amounts = MappingProxyType({})


class Quota(NamedTuple):
    """What is a queue's own, and how much beyond that it may borrow; who is not named there, as much as is idle."""

    name: str
    nominal: Amounts
    limit: Amounts


def quota_of(queue: Queue) -> Quota:
    """What a queue says, in whole numbers."""
    spec = queue.spec
    both = ({name: amount(name, size) for name, size in each.items()} for each in (spec.nominal, spec.borrowing_limit))
    return Quota(queue.metadata.name, *both)


def queue_named(pod: PodView, namespace_labels: Mapping[str, str]) -> str:
    """The queue of a pod; empty if it has none."""
    return pod.metadata.labels.get(QUEUE) or namespace_labels.get(QUEUE, "")


class Entry(NamedTuple):
    """What a pod holds: the amounts that are its own, and the cards of its claims, by the claim's uid."""

    queue: str
    pod: PodView
    amounts: Amounts
    claimed: Amounts


class Book:
    """Which pods of which queues hold what; the cards of a claim count once, however many pods share it."""

    def __init__(self, quotas: Iterable[Quota] = ()) -> None:
        self.quotas = {quota.name: quota for quota in quotas}
        self._pods: dict[str, Entry] = {}
        self._used: dict[str, dict[str, int]] = {}
        # How many pods of a queue share a claim.
        self._sharing: Counter[tuple[str, str]] = Counter()

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def pods(self) -> list[PodView]:
        """Those that hold something."""
        return [entry.pod for entry in self._pods.values()]

    def hold(self, queue: str, pod: PodView, claimed: Amounts = NOTHING) -> None:
        """A pod is on a node, or about to be."""
        self.drop(pod.uid)
        if not queue:
            return
        entry = self._pods[pod.uid] = Entry(queue, pod, _amounts_of(pod), claimed)
        self._count(queue, entry.amounts, 1)
        for claim, cards in claimed.items():
            if not self._sharing[queue, claim]:
                self._count(queue, {RESOURCE: cards}, 1)
            self._sharing[queue, claim] += 1

    def drop(self, uid: str) -> None:
        """A pod holds nothing any more."""
        entry = self._pods.pop(uid, None)
        if entry is None:
            return
        self._count(entry.queue, entry.amounts, -1)
        for claim, cards in entry.claimed.items():
            self._sharing[entry.queue, claim] -= 1
            if not self._sharing[entry.queue, claim]:
                del self._sharing[entry.queue, claim]
                self._count(entry.queue, {RESOURCE: cards}, -1)

    def used(self, queue: str, resource: str) -> int:
        """How much of a resource the pods of a queue hold."""
        return self._used.get(queue, {}).get(resource, 0)

    def refusal(self, pod: PodView, queue: str, claimed: Amounts = NOTHING) -> str:
        """Why the pod may not come; empty if it may. `claimed` are the cards that its claims have already."""
        if not queue:
            return ""
        quota = self.quotas.get(queue)
        if quota is None:
            return f'queue "{queue}" does not exist'
        wanted = self._wanted(pod, queue, claimed)
        beyond = self._beyond(wanted, quota)
        return next((why for name, size in beyond if (why := self._why(quota, name, size))), "")

    def lent(self, pod: PodView, queue: str, claimed: Amounts = NOTHING) -> frozenset[str]:
        """The pods, by uid, that hold what is this pod's queue's own; nobody if it would have to borrow itself."""
        quota = self.quotas.get(queue)
        wanted = self._wanted(pod, queue, claimed)
        if quota is None or any(True for _ in self._beyond(wanted, quota)):
            return frozenset()
        own = [name for name in quota.nominal if wanted.get(name)]
        others = [other for other in self.quotas.values() if other.name != queue]
        return frozenset(uid for name in own for other in others for uid in self._borrowing(other, name))

    def borrowed(self, queue: str, resource: str) -> int:
        """How much of a resource a queue holds beyond what is its own."""
        quota = self.quotas[queue]
        return max(self.used(queue, resource) - quota.nominal[resource], 0) if resource in quota.nominal else 0

    def _wanted(self, pod: PodView, queue: str, claimed: Amounts) -> Amounts:
        """What the queue would hold more with the pod: a claim that others of it share costs it nothing."""
        new = pod.devices.cards + sum(cards for claim, cards in claimed.items() if not self._sharing[queue, claim])
        amounts = _amounts_of(pod)
        return {**amounts, RESOURCE: amounts.get(RESOURCE, 0) + new} if new else amounts

    def _beyond(self, wanted: Amounts, quota: Quota) -> Iterator[tuple[str, int]]:
        for name, own in quota.nominal.items():
            size = wanted.get(name, 0)
            if size and self.used(quota.name, name) + size > own:
                yield name, size

    def _why(self, quota: Quota, name: str, wanted: int) -> str:
        own, used = quota.nominal[name], self.used(quota.name, name)
        having = [each for each in self.quotas.values() if name in each.nominal]
        whole = sum(each.nominal[name] for each in having)
        idle = max(whole - sum(self.used(each.name, name) for each in having), 0)
        limit = quota.limit.get(name)
        most = whole if limit is None else min(own + limit, whole)
        if wanted <= min(most - used, idle):
            return ""
        text = f"queue {quota.name}: {amount_text(name, wanted)} {name} wanted"
        if wanted > most:
            return f"{text}, which is more than the {amount_text(name, most)} that it may ever have"
        lends = idle - max(own - used, 0)
        more = amount_text(name, max(min(lends, most - max(used, own)), 0))
        return (
            f"{text}; of its {amount_text(name, own)} it uses {amount_text(name, used)}, and it may borrow {more} more"
        )

    def _borrowing(self, quota: Quota, name: str) -> Iterator[str]:
        over = self.borrowed(quota.name, name)
        if not over:
            return
        held = [entry for entry in self._pods.values() if entry.queue == quota.name and entry.amounts.get(name)]
        for entry in sorted(held, key=lambda entry: _youngest_of_the_least_important(entry.pod)):
            if over <= 0:
                return
            over -= entry.amounts[name]
            yield entry.pod.uid

    def _count(self, queue: str, amounts: Amounts, sign: int) -> None:
        used = self._used.setdefault(queue, {})
        for name, size in amounts.items():
            used[name] = used.get(name, 0) + sign * size


def _amounts_of(pod: PodView) -> Amounts:
    """What the pod itself asks for; a part of a card by its memory."""
    return {**pod.requests, MEMORY: pod.gpu_share} if pod.gpu_share else pod.requests


def _youngest_of_the_least_important(pod: PodView) -> tuple[bool, int, float, str]:
    since = bound_at(pod.pod)
    # Whoever is on his way to a node is the youngest of all.
    age = -since.timestamp() if since else float("-inf")
    return pod.metadata.deleted_at is None, pod.spec.priority, age, pod.key
