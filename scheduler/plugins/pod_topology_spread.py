"""Spread pods over zones, racks or hosts. Kubernetes: PodTopologySpread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns, FloatArray, Mask
from scheduler.columns.inclusion import included
from scheduler.crowding import LEFT_OUT, Crowding
from scheduler.framework import HIGHEST_SCORE, Plugin, Verdict, in_turn
from scheduler.pods import PodView
from scheduler.pods.spreading import Constraint
from scheduler.spreading import PodTopologySpreadArgs
from scheduler.triggers import Added, Changed, Deleted, Placed
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod

NOT_MATCHED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{NOT_MATCHED} (missing required label)"


class PodTopologySpread(Plugin):
    """Keep a pod off domains that would have too many like it; prefer those with few."""

    order = 100
    weight = 2
    Args = PodTopologySpreadArgs
    reads = (
        *("spec.topology_spread_constraints", "spec.node_selector", "spec.affinity.node_affinity", "spec.tolerations"),
        *("kin", "requests", "gpu_share"),
    )
    retry_when = (
        *(Placed(Pod), Deleted(Pod), Changed(Pod, "metadata.labels", "metadata.deleted_at")),
        *(Added(Node), Deleted(Node), Changed(Node, "metadata.labels", "spec.taints", "spec.unschedulable")),
    )

    def looks_around(self, pod: PodView, nodes: Columns) -> bool:
        return bool(self.args.constraints(pod))

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        yield from in_turn(_checks(pod, self.args.constraints(pod), nodes.everywhere), nodes)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        crowding = self._crowding(pod, nodes)
        return nodes.here(crowding.scores()) if crowding else None

    def kept_score(self, pod: PodView, nodes: Columns) -> Crowding | None:
        is_required = any(each.is_required for each in self.args.constraints(pod))
        return None if is_required else self._crowding(pod, nodes)

    def _crowding(self, pod: PodView, nodes: Columns) -> Crowding | None:
        wished = [each for each in self.args.constraints(pod) if not each.is_required]
        # Of what the system wishes, a node without zones or a name of its own is not left out.
        leaves_out = bool(pod.constraints) or not self.args.is_systems
        return Crowding(pod, wished, nodes, leaves_out=leaves_out) if wished else None

    def normalize(self, scores: FloatArray) -> FloatArray:
        least, most = scores.min(initial=np.inf), scores.max(initial=0.0)
        if least != LEFT_OUT:
            return _reversed(scores, least, most)
        compared = scores != LEFT_OUT
        found: FloatArray = compared * _reversed(scores, scores[compared].min(initial=most), most)
        return found


def _reversed(scores: FloatArray, least: float, most: float) -> FloatArray:
    return (most + least - scores) * (HIGHEST_SCORE / most) if most else np.full_like(scores, HIGHEST_SCORE)


def _checks(pod: PodView, constraints: tuple[Constraint, ...], nodes: Columns) -> Iterator[tuple[Mask, str, bool]]:
    required = [(each, nodes.domains(each.topology_key)) for each in constraints if each.is_required]
    for constraint, domains in required:
        counted = included(constraint, pod, nodes) & np.logical_and.reduce([each.has for _, each in required])
        held = domains.summed(nodes.neighbours.selected(pod.group.namespace, constraint.selector) * counted)
        least = 0.0 if domains.number(counted) < constraint.min_domains else held[counted].min()
        yield domains.has, NO_LABEL, False
        yield held + constraint.selects_itself - least <= constraint.max_skew, NOT_MATCHED, True
