"""Whether clients saw one copy of each object, changed by one operation at a time.

An operation takes effect at some moment between its call and its answer. A history is linearisable if such moments can
be chosen so that one register, holding a value and its revision, gives every answer that was given. Checked per key,
by just-in-time linearisation: walk along the history and keep every state that the register may be in; an operation
need not take effect before somebody's answer depends on it. (G. Lowe, Testing for linearizability, 2017.)
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple


class Operation(NamedTuple):
    """What a client asked of one key, and what it was told."""

    begun: float
    ended: float  # infinite: there was no answer, and it may take effect at any time or never
    verb: str  # create, update, delete, get
    outcome: str = "done"  # or why not: exists, conflict, absent; unknown
    value: str = ""  # written, or seen
    revision: int = 0  # of the write, or seen
    expected: int = 0  # the revision that the writer insisted on; 0: any
    client: int = 0


class Register(NamedTuple):
    """The one copy. A deleted key keeps its last revision, as a later one must be greater."""

    revision: float = 0
    value: str = ""  # empty: the key does not exist


class World(NamedTuple):
    """One way in which things may stand: the register, and which unanswered operations have taken effect."""

    register: Register
    done: frozenset[Operation] = frozenset()


def after(register: Register, operation: Operation) -> Register | None:
    """The register once the operation has had its outcome; None if it cannot have it here."""
    exists = register.value != ""
    matches = exists and operation.expected in (0, register.revision)
    if operation.outcome in ("exists", "absent"):
        return register if exists == (operation.outcome == "exists") else None
    if operation.outcome == "conflict":
        return None if matches else register
    if operation.verb == "get":
        return register if register == (operation.revision, operation.value) else None
    if matches == (operation.verb == "create"):
        return None
    if operation.verb == "delete":
        return Register(register.revision, "")
    # A write that nobody was told of and nobody has seen lies somewhere before the next revision.
    revision = operation.revision or register.revision + 0.5
    return Register(revision, operation.value) if revision > register.revision else None


def first_impossible(history: Iterable[Operation]) -> Operation | None:
    """The operation whose answer nothing can explain any more; None if the history of this key is linearisable."""
    operations = _with_revisions_seen(history)
    moments = [(each.begun, False, each) for each in operations]
    moments += [(each.ended, True, each) for each in operations if each.ended < inf]
    pending: set[Operation] = set()
    worlds = {World(Register())}
    for _, is_answer, operation in sorted(moments, key=lambda moment: moment[:2]):
        if not is_answer:
            pending.add(operation)
            continue
        reached = _reachable(worlds, pending)
        worlds = {World(each.register, each.done - {operation}) for each in reached if operation in each.done}
        if not worlds:
            return operation
        pending.discard(operation)
    return None


def _with_revisions_seen(history: Iterable[Operation]) -> list[Operation]:
    """Writes without an answer get the revision under which somebody saw their value, which is theirs alone."""
    operations = list(history)
    seen = {each.value: each.revision for each in operations if each.value and each.revision}
    return [
        each._replace(revision=seen.get(each.value, 0)) if each.outcome == "unknown" else each for each in operations
    ]


def _reachable(worlds: Iterable[World], pending: set[Operation]) -> set[World]:
    """Every world to which operations under way may lead."""
    found: set[World] = set()
    waiting = list(worlds)
    while waiting:
        world = _with_observers(waiting.pop(), pending)
        if world in found:
            continue
        found.add(world)
        for operation in pending - world.done:
            register = after(world.register, operation)
            if register is not None:
                waiting.append(World(register, world.done | {operation}))
    return found


def _with_observers(world: World, pending: set[Operation]) -> World:
    """Operations that fit and change nothing take effect at once: that can spoil no other's answer."""
    fitting = {each for each in pending - world.done if after(world.register, each) == world.register}
    return World(world.register, world.done | fitting)
