"""Who makes way for a gang that does not fit: nobody, unless the whole gang then fits. Pure.

    moves = make_way(pods, needed, board)          # none: nobody makes way

One pod after the other gets a place in thought, where there is room or where it costs least to make some. If that ends
well, whoever can come back beside the gang comes back, the important ones first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from scheduler.cycle.decision import Decision
from scheduler.gangs.plan import Board, by_size
from scheduler.pods import PodView
from scheduler.preemption.plan import Preemption
from scheduler.preemption.victims import by_importance


class Offer(NamedTuple):
    """The best node for a pod, or why there is none, and who would make way for it."""

    node: str = ""
    decision: Decision | None = None
    preemption: Preemption | None = None


class Clearing(Board, Protocol):
    """A board from which pods can be sent away in thought."""

    def offer(self, pod: PodView) -> Offer:
        """What there is for a pod now."""
        ...

    def send_away(self, victims: Iterable[PodView]) -> None:
        """From now on these are gone."""
        ...

    def call_back(self, victims: Iterable[PodView], node: str) -> None:
        """From now on these are on the node again."""
        ...


class Move(NamedTuple):
    """A pod of the gang, where it will go, who makes way for it there, and why somebody must."""

    pod: PodView
    node: str
    victims: tuple[PodView, ...] = ()
    decision: Decision | None = None


def make_way(pods: Sequence[PodView], needed: int, board: Clearing) -> tuple[Move, ...]:
    """The moves that give so many of the pods a place; the board is left as it was found."""
    moves: list[Move] = []
    try:
        for pod in by_size(pods):
            if len(moves) == needed:
                break
            if (move := _move(pod, board)) is not None:
                board.send_away(move.victims)
                if board.put(pod, move.node):
                    moves.append(move)
                else:
                    board.call_back(move.victims, move.node)
        if len(moves) < needed:
            return ()
        spared = _spared(moves, board)
        return tuple(move._replace(victims=_without(move.victims, spared)) for move in moves)
    finally:
        for move in reversed(moves):
            board.lift(move.pod)
            board.call_back(move.victims, move.node)


def _move(pod: PodView, board: Clearing) -> Move | None:
    node, decision, preemption = board.offer(pod)
    if node:
        return Move(pod, node)
    if preemption is None or not preemption.victims:
        return None
    return Move(pod, preemption.node, preemption.victims, decision)


def _spared(moves: Sequence[Move], board: Clearing) -> set[str]:
    """Who need not go after all; the board is left as it was found."""
    node_of = {victim.uid: move.node for move in moves for victim in move.victims}
    spared: list[PodView] = []
    for victim in by_importance([victim for move in moves for victim in move.victims]):
        node = node_of[victim.uid]
        board.call_back([victim], node)
        if all(_still_fits(move, board) for move in moves if move.node == node):
            spared.append(victim)
        else:
            board.send_away([victim])
    board.send_away(spared)
    return {victim.uid for victim in spared}


def _still_fits(move: Move, board: Clearing) -> bool:
    board.lift(move.pod)
    fits = move.node in board.options(move.pod)
    board.put(move.pod, move.node)
    return fits


def _without(victims: tuple[PodView, ...], spared: set[str]) -> tuple[PodView, ...]:
    return tuple(victim for victim in victims if victim.uid not in spared)
