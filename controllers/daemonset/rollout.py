"""Bring the pods of a DaemonSet to the current version, a few nodes at a time. Kubernetes: daemon/update.go.

Without surge old pods are deleted, and made anew by `keeping.py`, as long as no more than `maxUnavailable` nodes lack
an available one; with surge the new pod comes first, on `maxSurge` nodes at once, and `keeping.py` deletes the old one
when the new one is available. An old pod that is not available costs nothing and is replaced at once.
"""

from __future__ import annotations

from controllers.daemonset.keeping import Change
from controllers.daemonset.roster import Roster
from wherry.api.core.pod import Pod


def rolled(roster: Roster) -> Change:
    """The next step of a roll-out."""
    if roster.ds.spec.update_strategy.type != "RollingUpdate":
        return Change()
    return _surged(roster) if roster.is_surging else _replaced(roster)


def _replaced(roster: Roster) -> Change:
    unavailable = 0
    lame: list[Pod] = []
    candidates: list[Pod] = []
    for node in {**dict.fromkeys(roster.wanted), **roster.pods}:
        pair = roster.pair(node)
        if pair is None or (pair.new is None) == (pair.old is None):
            unavailable += 1  # about to get a pod, or to lose one too many
        elif pair.new is not None:
            unavailable += not roster.is_up(pair.new)
        elif pair.old is not None:
            (candidates if roster.is_up(pair.old) else lame).append(pair.old)
    spare = max(0, roster.most_unavailable - unavailable)
    return Change(deleted=lame + candidates[:spare])


def _surged(roster: Roster) -> Change:
    surge = 0
    lame: list[str] = []
    candidates: list[str] = []
    for node in roster.pods:
        pair = roster.pair(node)
        if pair is None:
            surge += 1
        elif pair.new is not None and pair.old is not None:
            surge += not roster.is_up(pair.new)
        elif pair.old is not None and node in roster.fits and roster.fits[node].runs:
            (candidates if roster.is_up(pair.old) else lame).append(node)
    spare = max(0, roster.most_surge - surge)
    return Change(made=dict.fromkeys(lame + candidates[:spare], 0))
