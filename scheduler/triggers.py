"""Triggers: which changes of the cluster could help a pod that found no node.

    retry_when = (Added(Node), Changed(Node, "status.allocatable"), Deleted(Pod))

A plugin lists them; the queue wakes the pods that the plugin refused when one of them matches.

Kubernetes: EventsToRegister.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from wherry.api.resource.gpu import DRIVER
from wherry.machinery.resource import Resource


class Trigger:
    """A kind of change. `before` is None for a new object, `after` for one that is gone."""

    def __init__(self, kind: type[Resource]) -> None:
        self.kind = kind

    def matches(self, before: Resource | None, after: Resource | None) -> bool:
        """Whether this is such a change."""
        return isinstance(before or after, self.kind) and self._fits(before, after)

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        raise NotImplementedError


class Added(Trigger):
    """There is a new object."""

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        return before is None and after is not None


class Changed(Trigger):
    """One of the values at `paths`, such as `status.allocatable`, is another one."""

    def __init__(self, kind: type[Resource], *paths: str) -> None:
        super().__init__(kind)
        self._read = [attrgetter(path) for path in paths]

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        if before is None or after is None:
            return False
        return any(read(before) != read(after) for read in self._read)


class Placed(Trigger):
    """A pod is on a node, and was on none before."""

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        return not _is_placed(before) and _is_placed(after)


class Deleted(Trigger):
    """An object is gone; for a pod on a node also: it is finished and has given back what it held."""

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        return before is not None and _is_there(before) and not _is_there(after)


class Freed(Trigger):
    """A claim has no cards any more that nodes count."""

    def _fits(self, before: Resource | None, after: Resource | None) -> bool:
        return bool(home_of_cards(before)) and not home_of_cards(after)


def home_of_cards(obj: Any) -> str:
    """The node whose cards a claim has; empty if it has none."""
    allocation = obj.status.allocation if obj is not None else None
    held = () if allocation is None else allocation.devices.held
    return next((each.pool for each in held if each.driver == DRIVER), "")


def _is_there(obj: Any) -> bool:
    return obj is not None and not getattr(obj, "is_finished", False)


def _is_placed(obj: Any) -> bool:
    return _is_there(obj) and bool(obj.spec.node_name)


def any_matches(triggers: Iterable[Trigger], before: Resource | None, after: Resource | None) -> bool:
    """Whether one of the triggers matches."""
    return any(trigger.matches(before, after) for trigger in triggers)
