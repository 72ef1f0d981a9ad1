"""Rounds: who was asked about one write, and who must be asked again because others changed it since.

A write that a webhook or a policy changes is admitted a second time, and never a third. In the second round only those
are asked that want to be (`reinvocationPolicy: IfNeeded`), and only if the object is not as they left it.

Kubernetes: admission/plugin/webhook/mutating/reinvocationcontext.go.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiserver.matching.attributes import Attributes


class Rounds:
    """The memory of one write, by plugin."""

    def __init__(self) -> None:
        self.is_second = False
        self.has_changed = False
        self._willing: dict[str, set[str]] = {}
        self._due: dict[str, set[str]] = {}
        self._left: dict[str, bytes] = {}

    def reinvoked(self, plugin: str, attributes: Attributes) -> Set[str]:
        """At the beginning of a plugin's turn: whom it asks in a second round."""
        if self.is_second and self._left.get(plugin) != attributes.snapshot():
            self._call_back(plugin)
        return self.due(plugin)

    def due(self, plugin: str) -> Set[str]:
        """Whom to ask again."""
        return self._due.get(plugin, set())

    def changed(self, plugin: str) -> None:
        """Somebody has changed the object: all who were asked before, and want to know, are due again."""
        self.has_changed = True
        self._call_back(plugin)

    def ask_again(self, plugin: str, uid: str) -> None:
        """This one was asked, and wants to be asked again if others change the object."""
        self._willing.setdefault(plugin, set()).add(uid)

    def ended(self, plugin: str, attributes: Attributes) -> None:
        """At the end of a plugin's turn."""
        self._left[plugin] = attributes.snapshot()

    def _call_back(self, plugin: str) -> None:
        self._due.setdefault(plugin, set()).update(self._willing.pop(plugin, ()))
