"""The plan for a gang: a node for each of its pods, or for none.

    found = assemble(pods, needed, board)
    found.places, found.missing

The board is the cluster as it is now. Each pod that gets a node in thought is put down on it, so that the next one
finds the rest of the room; in the end the board is as it was found. Large pods come first. Where they differ, or
share claims, and room is not enough in that order, other nodes are tried for those that were placed, a bounded number
of times. Which of a node's devices each gets is the board's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from scheduler.cycle.decision import Decision
from scheduler.cycle.plan import Choice
from scheduler.devices.grants import Kept
from scheduler.explaining.text import Record
from scheduler.pods import PodView
from wherry.api.resource.gpu import RESOURCE

# How often a node is tried for a pod of a gang whose pods differ, before it is given up; and the pods of such a gang.
MOST_TRIALS = 500
# Pods that ask for the same in these are alike: no other order of them helps.
_SHAPE = (
    *("requests", "gpu_share", "spec.resource_claims"),
    *("spec.node_selector", "spec.affinity", "spec.tolerations"),
)


class Found(NamedTuple):
    """What there is for one pod now: a choice, with a record of its reasons, or the decision that says why not."""

    choice: Choice | None = None
    decision: Decision | None = None
    record: Record | None = None


class Board(Protocol):
    """The cluster, on which pods can be put down in thought."""

    def find(self, pod: PodView) -> Found:
        """The best node now."""
        ...

    def options(self, pod: PodView) -> Sequence[str]:
        """All nodes that can hold the pod now, the best first."""
        ...

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod is there, with all it asks for; False if that cannot be had, and nothing is changed."""
        ...

    def lift(self, pod: PodView) -> None:
        """The pod is not there any more."""
        ...

    def held(self, places: Sequence[Place]) -> Mapping[str, Kept]:
        """What pods who all fit would have of devices in these places, by uid."""
        ...


class Place(NamedTuple):
    """A pod, the node it gets, and what is kept of the reasons."""

    pod: PodView
    node: str
    choice: Choice
    record: Record | None = None


class Assembly(NamedTuple):
    """The places in the order in which they were found, and the pods without one; no places if they were too few."""

    places: tuple[Place, ...] = ()
    missing: tuple[PodView, ...] = ()
    # How many would have had a place, and why the first of the others has none.
    fitting: int = 0
    decision: Decision | None = None
    record: Record | None = None


def by_size(pods: Sequence[PodView]) -> list[PodView]:
    """The largest first: by cards, by their part of one, then by cpu, then by memory."""

    def size(pod: PodView) -> tuple[int | str, ...]:
        cards, cpu, memory = (-pod.requests.get(name, 0) for name in (RESOURCE, "cpu", "memory"))
        return cards, -pod.gpu_share, cpu, memory, pod.key

    return sorted(pods, key=size)


def assemble(pods: Sequence[PodView], needed: int, board: Board) -> Assembly:
    """Places for as many of the pods as there are, if they are at least so many; the board is left as it was found."""
    ordered = by_size(pods)
    found = _one_by_one(ordered, board)
    if found.fitting >= needed:
        return found
    if _is_worth_a_search(ordered) and (places := _Search(ordered, needed, board).places):
        placed = {place.pod.uid for place in places}
        return Assembly(tuple(places), tuple(pod for pod in ordered if pod.uid not in placed), len(places))
    return found._replace(places=(), missing=tuple(ordered))


def _is_worth_a_search(pods: Sequence[PodView]) -> bool:
    """Pods that are alike fit one by one if they fit at all, unless the first takes a claim where the others cannot."""
    if len(pods) > MOST_TRIALS:
        return False
    shares_claims = any(use.resource_claim_name for pod in pods for use in pod.spec.resource_claims)
    return shares_claims or len({pod.signature(_SHAPE) for pod in pods}) > 1


def _one_by_one(pods: Sequence[PodView], board: Board) -> Assembly:
    places: list[Place] = []
    missing: list[PodView] = []
    why, kept = None, None
    try:
        for pod in pods:
            choice, decision, record = board.find(pod)
            if choice is not None and board.put(pod, choice.node):
                places.append(Place(pod, choice.node, choice, record))
            else:
                missing.append(pod)
                why, kept = why or decision, kept or record
    finally:
        for place in reversed(places):
            board.lift(place.pod)
    return Assembly(tuple(places), tuple(missing), len(places), why, kept)


class _Search:
    """Looks for places for exactly so many pods, in depth, and gives up after a while."""

    def __init__(self, pods: Sequence[PodView], needed: int, board: Board) -> None:
        self._pods, self._needed, self._board = pods, needed, board
        self._trials, self.places = MOST_TRIALS, list[Place]()
        self._look(0)

    def _look(self, index: int) -> bool:
        """Whether the pods from here on complete the gang; then `places` has them all, and the board is clean again."""
        if len(self.places) == self._needed:
            return True
        if len(self.places) + len(self._pods) - index < self._needed:
            return False
        pod = self._pods[index]
        for node in self._board.options(pod):
            self._trials -= 1
            if self._trials < 0:
                return False
            if not self._board.put(pod, node):
                continue
            self.places.append(Place(pod, node, Choice(node, 0.0, "", 0.0)))
            try:
                done = self._look(index + 1)
            finally:
                self._board.lift(pod)
            if done:
                return True
            self.places.pop()
        return self._look(index + 1)
