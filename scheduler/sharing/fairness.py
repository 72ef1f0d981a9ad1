"""Fairness: keeps count of what everybody uses, says whose turn it is, and has it written once in a while.

There is nothing to do, and nothing is done, while the cluster has no FairShare. What is written names the version it
was made from, so of two schedulers one writes, and both go on from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from scheduler.pods import PodView
from scheduler.sharing.standing import Account, Rules
from scheduler.sharing.tally import Tally, base_of, span_of, status_of
from scheduler.sharing.turns import Standing
from scheduler.sharing.usage import Amounts, Base, Span, totals
from wherry.api.core.pod import Pod
from wherry.api.sharing.fair_share import NAME, FairShare
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, OptionalInformer
from wherry.machinery.errors import ApiError

log = structlog.get_logger()

# What is used between two writings is lost only if a pod goes while no scheduler looks.
WRITE_SECONDS = 60.0
_NOTHING = Amounts()


class Fairness:
    """See the module. `cards_of` counts a pod's cards; `agree` is told by what to share turns, or None."""

    def __init__(
        self,
        client: Client,
        pods: Callable[[], Iterable[Pod]],
        cards_of: Callable[[PodView], float],
        agree: Callable[[Standing | None], None],
    ) -> None:
        self._client, self._pods, self._cards_of, self._agree = client, pods, cards_of, agree
        self.shares = OptionalInformer(client, FairShare)
        self.shares.subscribe(self._share_changed)
        self._share: FairShare | None = None
        self._tally, self._rules, self._used = Tally(), Rules(), dict[str, Amounts]()
        self._added_up_at = 0.0
        self._is_on = asyncio.Event()

    async def run(self, may_act: Callable[[], bool]) -> None:
        """Work until cancelled."""
        while True:
            await self._is_on.wait()
            await asyncio.sleep(WRITE_SECONDS)
            if self._share is not None and self._tally.has_news() and may_act():
                await self._write(self._share)
            self._add_up()

    def hold(self, pod: PodView) -> None:
        """A pod is on a node, or about to be, or has finished there."""
        if self._share is not None:
            now = clock.now().timestamp()
            self._ended(self._tally.take(pod.uid, span_of(pod, self._cards_of(pod), now)), now)

    def drop(self, uid: str) -> None:
        """A pod is gone."""
        if self._share is not None:
            now = clock.now().timestamp()
            self._ended(self._tally.drop(uid, now), now)

    def forget(self, uid: str) -> None:
        """A pod could not be bound."""
        if self._share is not None:
            self._tally.forget(uid)

    def _standing(self, user: str) -> float:
        holds = self._tally.holds.get(user, _NOTHING)
        weight = self._rules.weights.get(user, 1)
        return Account(user, self._used.get(user, _NOTHING), holds, weight).standing(self._rules.cpu_weight)

    def _share_changed(self, change: Change[FairShare]) -> None:
        share = change.after
        if (share or change.before or FairShare()).metadata.name != NAME:
            return
        was_on, self._share = self._share is not None, share
        if share is None:
            self._tally = Tally()
            self._is_on.clear()
            self._agree(None)
            return
        self._rules = Rules(share.spec.cpu_weight.nanos / 1e9, share.spec.weights)
        self._tally.rebase(base_of(share))
        if not was_on:
            for pod in self._pods():
                if pod.spec.node_name:
                    self.hold(PodView(pod))
            self._is_on.set()
            self._agree(self._standing)
        self._add_up()

    def _add_up(self) -> None:
        if self._share is not None:
            self._added_up_at = clock.now().timestamp()
            self._used = self._tally.totals(self._added_up_at, self._share.spec.half_life_seconds)

    def _ended(self, span: Span | None, now: float) -> None:
        """What a pod no more holds it has used: that must not be forgotten until all is added up again."""
        if span is not None and self._share is not None:
            base = Base(self._added_up_at, {span.user: self._used.get(span.user, _NOTHING)})
            self._used |= totals(base, [span], now=now, half_life=self._share.spec.half_life_seconds)

    async def _write(self, share: FairShare) -> None:
        now = clock.now()
        status = status_of(self._tally.totals(now.timestamp(), share.spec.half_life_seconds), now)
        version = {"uid": share.metadata.uid, "resourceVersion": share.metadata.resource_version}
        try:
            await self._client.patch(FairShare, NAME, "", {"metadata": version, "status": status}, subresource="status")
        except ApiError as error:
            log.info("usage not written", error=error.message)  # somebody else's is read, or we try again
