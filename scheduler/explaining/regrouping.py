"""Whether pods that wait would fit if others moved elsewhere, and who these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from scheduler.consolidation.plan import Site, consolidate
from scheduler.explaining.gangs import Thought
from scheduler.explaining.picture import Picture
from scheduler.pods import PodView

# How many moves are worth telling of where the scheduler makes none by itself.
MOST_TOLD = 8
NOBODY_MOVES = "the scheduler moves nobody by itself: mostMoves of the plugin Consolidation is 0"


def regroupings(picture: Picture, pods: Sequence[PodView], needed: int, most_moves: int) -> Iterator[str]:
    """The lines; `most_moves` is what the pods' profile allows."""
    site = Site(picture.snapshot, picture.panel(pods[0]), Thought(picture), picture.budgets, most_moves or MOST_TOLD)
    found = consolidate(pods, needed, site)
    if found is None:
        return
    nodes = Counter(node for _, node in found.places)
    places = ", ".join(f"{node} ({number})" if len(pods) > 1 else node for node, number in sorted(nodes.items()))
    moves = ", ".join(f"{move.pod.key} moves from {move.node} to {move.to}" for move in found.moves)
    yield f"there is room on {places} if {moves}" + ("" if most_moves else f"; {NOBODY_MOVES}")
