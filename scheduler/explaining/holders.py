"""Who has what a pod that waits lacks on a node: pods, kept room, cards of claims and cards in parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from scheduler.explaining.picture import Picture
from scheduler.gangs.groups import group_of
from scheduler.pods import PodView
from wherry.api.resource.gpu import RESOURCE
from wherry.api.sharing.user import bound_at
from wherry.machinery.time import age_text

KEPT = "kept"


class Holder(NamedTuple):
    """Somebody, what he has, and how: `for 2h`, `leaving`, `kept`. One of its own gang is there in thought only."""

    name: str
    amounts: Mapping[str, int]
    how: str
    is_own_gang: bool = False


def holders_on(picture: Picture, node: str, pod: PodView, now: datetime) -> Iterator[Holder]:
    """Everybody on the node, as this pod finds it; whose room is less important is no holder."""
    own, lifted = group_of(pod.pod), {each.pod.uid for each in picture.nominations.beneath(pod.spec.priority)}
    for uid, other in picture.snapshot.pods_on(node).items():
        if uid in lifted or uid == pod.uid:
            continue
        is_there = bool(other.spec.node_name)
        yield Holder(
            other.key,
            other.requests,
            _how(other, now) if is_there else KEPT,
            bool(own) and not is_there and group_of(other.pod) == own,
        )
    for name in picture.cards_taken_on(node):
        yield Holder(name, {RESOURCE: 1}, "")


def _how(pod: PodView, now: datetime) -> str:
    if pod.metadata.deleted_at is not None:
        return "leaving"
    return f"for {age_text(bound_at(pod.pod) or pod.metadata.created_at, now)}"
