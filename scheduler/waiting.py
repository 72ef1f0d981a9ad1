"""Waiting: the pods that found no node, by the plugins that refused them and by what they are like.

A change is asked about once for all that are alike, and not at all about those that want more than the node has on
which it happened: ten thousand may wait that all want different amounts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.columns.wants import Wants
from scheduler.hints import Hints
from scheduler.pods import PodView
from scheduler.triggers import Added, Trigger, any_matches
from wherry.api.core.node import Node
from wherry.machinery.resource import Resource

# Whom a pod waits for that nobody refused, because there was no node at all.
NOBODY = ""


@dataclass(slots=True)
class _Alike:
    """One of them, for whom all others stand; who refused it, and who they are."""

    pod: PodView
    rejected_by: frozenset[str]
    uids: dict[str, None] = field(default_factory=dict)


class Waiting:
    """See the module; `triggers` and `hints` as for the queue."""

    def __init__(self, triggers: Mapping[str, Sequence[Trigger]], hints: Hints | None) -> None:
        self._triggers: dict[str, Sequence[Trigger]] = {NOBODY: (Added(Node),), **triggers}
        self._hints = hints
        self._alike: dict[Hashable, _Alike] = {}
        self._likeness_of: dict[str, Hashable] = {}
        # The kinds that each plugin refused, in the order of time.
        self._refused_by: dict[str, dict[Hashable, None]] = {}
        self._wants = Wants()

    def add(self, pod: PodView, rejected_by: frozenset[str]) -> None:
        """The pod waits until something happens that one of these plugins calls hopeful."""
        rejected_by = rejected_by or frozenset((NOBODY,))
        likeness = (self._hints.likeness(pod) if self._hints else None, rejected_by)
        alike = self._alike.get(likeness)
        if alike is None:
            alike = self._alike[likeness] = _Alike(pod, rejected_by)
            wanted = self._hints.least(pod, rejected_by) if self._hints else {}
            self._wants.add(likeness, pod.spec.priority, wanted)
            for plugin in rejected_by:
                self._refused_by.setdefault(plugin, {})[likeness] = None
        alike.uids[pod.uid] = None
        self._likeness_of[pod.uid] = likeness

    def remove(self, uid: str) -> None:
        """The pod waits no more, if it did."""
        likeness = self._likeness_of.pop(uid, None)
        if likeness is None:
            return
        alike = self._alike[likeness]
        del alike.uids[uid]
        if not alike.uids:
            del self._alike[likeness]
            self._wants.remove(likeness)
            for plugin in alike.rejected_by:
                del self._refused_by[plugin][likeness]

    def helped_by(self, before: Resource | None, after: Resource | None) -> list[str]:
        """Whom a change could help; the snapshot shows it already."""
        asked = [
            (plugin, refused)
            for plugin, refused in self._refused_by.items()
            if refused and any_matches(self._triggers.get(plugin, ()), before, after)
        ]
        spot = self._hints.spot(before, after) if asked and self._hints else None
        helped: dict[Hashable, None] = {}
        near: Sequence[Hashable] | None = None
        for plugin, refused in asked:
            if spot is None or self._hints is None or not self._hints.judges(plugin):
                helped.update(refused)
                continue
            near = self._wants.within(spot) if near is None else near
            for likeness in _in_both(refused, near):
                alike = self._alike[likeness]
                if likeness not in helped and self._hints.could_help(plugin, alike.pod, alike.rejected_by, spot):
                    helped[likeness] = None
        return [uid for likeness in helped for uid in self._alike[likeness].uids]


def _in_both(refused: Mapping[Hashable, None], near: Sequence[Hashable]) -> Iterable[Hashable]:
    return refused if len(refused) < len(near) else filter(refused.__contains__, near)
