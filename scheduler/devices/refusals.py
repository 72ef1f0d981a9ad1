"""Refusals: which nodes have not what some pods ask for, so that of pods that ask for the same only the first one asks.

From `begin` to `end`, while pods are put down in thought, each makes less free than there was: who was refused stays
refused, until the ledger tells that something became free. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable

from scheduler.devices.ledger import Ledger


class Refusals:
    """See the module. At other times nothing is remembered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._is_kept = False
        self._known: set[tuple[str, Hashable]] = set()
        # What was free then is all that they are about.
        self._as_of = ledger.freed

    def begin(self) -> None:
        """From now on they are remembered."""
        self._is_kept = True
        self._known.clear()

    def end(self) -> None:
        """What is there may change in any way from now on."""
        self._is_kept = False
        self._known.clear()

    def has(self, node: str, what: Hashable) -> bool:
        """Whether it is known that the node has not `what`."""
        if self._as_of != self._ledger.freed:
            self._known.clear()
            self._as_of = self._ledger.freed
        return (node, what) in self._known

    def note(self, node: str, what: Hashable) -> None:
        """The node has not `what`, which it was asked for just now; None is like nothing else."""
        if self._is_kept and what is not None:
            self._known.add((node, what))
