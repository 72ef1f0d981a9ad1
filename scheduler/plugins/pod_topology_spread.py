"""Spread pods over zones, racks or hosts. Kubernetes: PodTopologySpread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns, FloatArray, Mask
from scheduler.columns.inclusion import included
from scheduler.columns.topology import HOST
from scheduler.framework import HIGHEST_SCORE, Plugin, Verdict, in_turn
from scheduler.pods import PodView
from scheduler.pods.spreading import Constraint
from scheduler.spreading import PodTopologySpreadArgs
from scheduler.triggers import Added, Changed, Deleted, Placed
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod

NOT_MATCHED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{NOT_MATCHED} (missing required label)"
# The score of nodes without a label that a constraint is about: the worst, whatever the others have.
LEFT_OUT = -1.0


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
        constraints = self.args.constraints(pod)
        wished = [(each, nodes.domains(each.topology_key)) for each in constraints if not each.is_required]
        if not wished:
            return None
        # Of what the system wishes, a node without zones or a name of its own is not left out.
        is_assumed = self.args.is_systems and not pod.constraints
        has_all: Mask = np.logical_and.reduce([domains.has | is_assumed for _, domains in wished])
        candidates = nodes.candidates & has_all
        score = np.zeros(len(nodes.names))
        for constraint, domains in wished:
            counted = has_all & included(constraint, pod, nodes.everywhere)
            alike = nodes.neighbours.selected(pod.group.namespace, constraint.selector)
            held = alike if constraint.topology_key == HOST else domains.summed(alike * counted)
            number = domains.number(candidates) + bool((candidates & ~domains.has).any())
            score += domains.has * (held * np.log(number + 2) + (constraint.max_skew - 1))
        return nodes.here(np.where(has_all, score, LEFT_OUT))

    def normalize(self, scores: FloatArray) -> FloatArray:
        compared = scores[scores != LEFT_OUT]
        least, most = compared.min(initial=np.inf), compared.max(initial=0.0)
        if most == 0:
            return np.where(scores == LEFT_OUT, 0.0, HIGHEST_SCORE)
        return np.where(scores == LEFT_OUT, 0.0, (most + least - scores) * (HIGHEST_SCORE / most))


def _checks(pod: PodView, constraints: tuple[Constraint, ...], nodes: Columns) -> Iterator[tuple[Mask, str, bool]]:
    required = [(each, nodes.domains(each.topology_key)) for each in constraints if each.is_required]
    for constraint, domains in required:
        counted = included(constraint, pod, nodes) & np.logical_and.reduce([each.has for _, each in required])
        held = domains.summed(nodes.neighbours.selected(pod.group.namespace, constraint.selector) * counted)
        least = 0.0 if domains.number(counted) < constraint.min_domains else held[counted].min()
        yield domains.has, NO_LABEL, False
        yield held + constraint.selects_itself - least <= constraint.max_skew, NOT_MATCHED, True
