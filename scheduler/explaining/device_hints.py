"""What would have to change so that a pod gets the devices it claims, or its part of a card. Pure.

it fits on gpu-2 when 1 device frees: gpu-0 of claim alice/train-cards
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.cycle.decision import Decision
from scheduler.explaining.hints import MOST_NODES
from scheduler.explaining.picture import Picture
from scheduler.pods import PodView

PLUGINS = frozenset(("DynamicResources", "GpuShare"))


def device_hints(pod: PodView, decision: Decision, picture: Picture) -> Iterator[str]:
    """The lines, the nearest way first; none if devices are not what keeps it from its node."""
    rows = _rows_that_lack_only_devices(decision)
    if pod.devices.problem or not len(rows):
        return
    found = {decision.nodes[row]: picture.devices_in_the_way(pod, decision.nodes[row]) for row in rows}
    ways = sorted((len(taken), node, taken) for node, taken in found.items() if taken)
    for number, node, taken in ways[:MOST_NODES]:
        free = "1 device frees" if number == 1 else f"{number} devices free"
        yield f"it fits on {node} when {free}: {', '.join(taken)}"
    if not ways:
        yield "no node has such devices, even if nobody had any"


def _rows_that_lack_only_devices(decision: Decision) -> list[int]:
    lacking = np.zeros(len(decision.nodes), dtype=np.bool_)
    others = np.zeros(len(decision.nodes), dtype=np.bool_)
    for refusal in decision.refusals:
        if refusal.plugin in PLUGINS:
            lacking |= refusal.nodes
        else:
            others |= refusal.nodes
    rows: list[int] = np.flatnonzero(lacking & ~others).tolist()
    return rows
