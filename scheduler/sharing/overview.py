"""Overview: whose turn it is, and which pods are tried in which order, as the cluster's objects tell it. Pure.

What `wherry queue` and `wherry fairshare` show: the same count and the same order as the scheduler's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from scheduler.pods import PodView
from scheduler.sharing.holdings import cards_claimed
from scheduler.sharing.quotas import Book
from scheduler.sharing.standing import Account, Rules, accounts
from scheduler.sharing.tally import Tally, base_of, span_of
from scheduler.sharing.turns import Turn, Turns
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.api.resource.gpu import RESOURCE, read_share
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.fair_share import NAME, FairShare
from wherry.api.sharing.user import user_of

NOT_TRIED = "not tried yet"


class Order(NamedTuple):
    """Everybody who has used or holds something, or waits, whose turn it is first; nobody without a `share`."""

    share: FairShare | None = None
    accounts: tuple[Account, ...] = ()

    @property
    def cpu_weight(self) -> float:
        """What a core counts compared to a card."""
        return self.share.spec.cpu_weight.nanos / 1e9 if self.share else 0.0


class Waiting(NamedTuple):
    """A pod without a node, its place among those that could be tried, 0 if it cannot, and why it waits."""

    place: int
    pod: Pod
    why: str


def order_of(pods: Iterable[Pod], claims: Iterable[ResourceClaim], found: Iterable[FairShare], now: datetime) -> Order:
    """How everybody stands now."""
    share = next((each for each in found if each.metadata.name == NAME), None)
    if share is None:
        return Order()
    pods, tally = list(pods), Tally()
    claimed = cards_claimed(claims)
    tally.rebase(base_of(share))
    for pod in pods:
        if pod.spec.node_name:
            view = PodView(pod)
            part = read_share(pod.metadata.annotations)
            cards = part.fraction if part else view.requests.get(RESOURCE, 0) + claimed.get(view.uid, 0)
            tally.take(view.uid, span_of(view, cards, now.timestamp()))
    rules = Rules(share.spec.cpu_weight.nanos / 1e9, share.spec.weights)
    used = tally.totals(now.timestamp(), share.spec.half_life_seconds)
    waiting = [user_of(pod) for pod in sorted(filter(is_waiting, pods), key=_came)]
    return Order(share, tuple(accounts(used, tally.holds, rules, waiting)))


def is_waiting(pod: Pod) -> bool:
    """Whether it wants a node and has none."""
    return not (pod.spec.node_name or pod.is_finished or pod.metadata.deleted_at)


def line_up(pods: Iterable[Pod], order: Order) -> list[Waiting]:
    """The pods that wait, in the order in which they would be tried were all tried now; those that cannot be, last."""
    waiting = [pod for pod in pods if is_waiting(pod)]
    able = sorted((pod for pod in waiting if not pod.spec.scheduling_gates), key=_came)
    turns = Turns()
    if order.share:
        standings = {account.user: account.standing(order.cpu_weight) for account in order.accounts}
        turns.share_by(lambda user: standings.get(user, 0.0))
    for ticket, pod in enumerate(able):
        turns.add(pod.spec.priority, Turn(ticket, "", user_of(pod)))
    in_order = [able[turn.ticket] for turn in iter(turns.next, None)]
    gated = sorted((pod for pod in waiting if pod.spec.scheduling_gates), key=_came)
    return [
        *(Waiting(place, pod, _why(pod)) for place, pod in enumerate(in_order, 1)),
        *(Waiting(0, pod, _gates(pod)) for pod in gated),
    ]


class QueueUse(NamedTuple):
    """What a queue has of a resource, and what its pods hold and borrow of it; so many pods of it wait."""

    queue: str
    resource: str
    nominal: int
    used: int
    borrowed: int
    waiting: int


def uses_of(book: Book, waiting: Iterable[str]) -> Iterator[QueueUse]:
    """How it stands with each queue; `waiting` are the queues of the pods that wait."""
    numbers = Counter(waiting)
    for name, quota in sorted(book.quotas.items()):
        for resource, nominal in sorted(quota.nominal.items()):
            used, borrowed = book.used(name, resource), book.borrowed(name, resource)
            yield QueueUse(name, resource, nominal, used, borrowed, numbers[name])


def _came(pod: Pod) -> tuple[bool, datetime | None, str]:
    return pod.metadata.created_at is None, pod.metadata.created_at, pod.key


def _why(pod: Pod) -> str:
    scheduled = find_condition(pod.status.conditions, "PodScheduled")
    return scheduled.message if scheduled and scheduled.status == "False" and scheduled.message else NOT_TRIED


def _gates(pod: Pod) -> str:
    return f"scheduling gates: {', '.join(gate.name for gate in pod.spec.scheduling_gates)}"
