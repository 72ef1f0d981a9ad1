"""Tally: the spans for which pods hold something, as they come and go; what is written of them, and read again.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from scheduler.pods import PodView
from scheduler.sharing.usage import Amounts, Base, Span, totals
from wherry.api.core.pod import Pod
from wherry.api.sharing.fair_share import FairShare, UserUsage
from wherry.api.sharing.user import bound_at, user_of
from wherry.machinery.time import micro_time_text


class Tally:
    """See the module. Instants are seconds of the wall clock."""

    def __init__(self) -> None:
        self.base = Base()
        self._spans: dict[str, Span] = {}
        self._holds: dict[str, Amounts] = {}

    @property
    def holds(self) -> Mapping[str, Amounts]:
        """What each user holds now."""
        return self._holds

    def take(self, uid: str, span: Span) -> Span | None:
        """A pod holds, or has held, so much; it counts once, however often this is told. Gives what ended just now."""
        before = self._spans.get(uid)
        if before == span:
            return None
        if before is not None and before.end is None:
            self._count(before, -1)
        self._spans[uid] = span
        if span.end is None:
            self._count(span, 1)
            return None
        return span if before is not None and before.end is None else None

    def drop(self, uid: str, at: float) -> Span | None:
        """A pod holds nothing any more; gives what ended with that."""
        span = self._spans.get(uid)
        if span is None or span.end is not None:
            return None
        return self.take(uid, span._replace(end=max(at, span.start)))

    def forget(self, uid: str) -> None:
        """A pod was thought to hold something, and never did."""
        self.drop(uid, 0.0)
        self._spans.pop(uid, None)

    def rebase(self, base: Base) -> None:
        """Go on from what is written; who wrote it does not matter."""
        self.base = base
        self._spans = {uid: span for uid, span in self._spans.items() if span.end is None or span.end > base.as_of}

    def totals(self, now: float, half_life: float) -> dict[str, Amounts]:
        """What everybody has used, as it counts now."""
        return totals(self.base, self._spans.values(), now=now, half_life=half_life)

    def has_news(self) -> bool:
        """Whether anything was held since the last writing."""
        return any(span.end is None or span.end > self.base.as_of for span in self._spans.values())

    def _count(self, span: Span, sign: int) -> None:
        held = self._holds.get(span.user, Amounts()).plus(span.held, sign)
        if any(held):
            self._holds[span.user] = held
        else:
            self._holds.pop(span.user, None)


def span_of(pod: PodView, cards: float, now: float) -> Span:
    """What a pod holds, or has held until it finished; `cards` may be parts of one."""
    held = Amounts(1000.0 * cards, float(pod.requests.get("cpu", 0)))
    since = bound_at(pod.pod)
    start = since.timestamp() if since else now
    return Span(user_of(pod.pod), held, start, _finished_at(pod.pod, start, now) if pod.pod.is_finished else None)


def _finished_at(pod: Pod, start: float, now: float) -> float:
    ends = [at.timestamp() for at in _ends(pod)]
    return min(max(ends, default=start), now)


def _ends(pod: Pod) -> Iterator[datetime]:
    for status in pod.status.container_statuses:
        if status.state.terminated and status.state.terminated.finished_at:
            yield status.state.terminated.finished_at
    if pod.metadata.deleted_at is not None:
        yield pod.metadata.deleted_at


def base_of(share: FairShare) -> Base:
    """What is written; before anything was, counting begins when the fair share was made."""
    since = share.status.as_of or share.metadata.created_at
    users = {user.name: Amounts(user.gpu_milliseconds, user.cpu_milliseconds) for user in share.status.users}
    return Base(since.timestamp() if since else 0.0, users)


def status_of(used: Mapping[str, Amounts], as_of: datetime) -> dict[str, Any]:
    """What is to be written; who has used less than a thousandth of a second is left out."""
    users = (
        UserUsage(name=user, gpu_milliseconds=round(each.gpu), cpu_milliseconds=round(each.cpu))
        for user, each in sorted(used.items())
    )
    rows = [user.to_wire() for user in users if user.gpu_milliseconds or user.cpu_milliseconds]
    return {"asOf": micro_time_text(as_of), "users": rows}
