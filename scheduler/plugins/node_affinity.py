"""Keep pods on nodes with the labels they ask for. Kubernetes: NodeAffinity, `spec.nodeSelector` included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.columns.node_selectors import is_empty, matching, matching_any
from scheduler.enforced import NodeAffinityArgs
from scheduler.framework import Plugin, Verdict, normalize_to_highest
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed
from wherry.api.core.node import Node
from wherry.api.core.pod.spec import NodeAffinity as Wishes

REASON = "node(s) didn't match Pod's node affinity/selector"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"


class NodeAffinity(Plugin):
    """Keep a pod on nodes that its selector and required affinity match; prefer those its preferences match."""

    order = 40
    weight = 2
    reads = ("spec.node_selector", "spec.affinity.node_affinity")
    judges_one_by_one = True
    retry_when = (Added(Node), Changed(Node, "metadata.labels"))
    Args = NodeAffinityArgs

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        enforced = self.args.added_affinity.required_during_scheduling_ignored_during_execution
        if enforced is not None:
            yield Verdict(matching_any(enforced, nodes), ENFORCED)
        for key, value in pod.spec.node_selector.items():
            yield Verdict(nodes.label(key).is_in([value]), REASON)
        required = _wishes(pod).required_during_scheduling_ignored_during_execution
        if required is not None:
            yield Verdict(matching_any(required, nodes), REASON)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        preferred = [
            term
            for wishes in (self.args.added_affinity, _wishes(pod))
            for term in wishes.preferred_during_scheduling_ignored_during_execution
        ]
        if not preferred:
            return None
        score = np.zeros(len(nodes))
        for term in preferred:
            if not is_empty(term.preference):
                score += term.weight * matching(term.preference, nodes)
        return score

    def normalize(self, scores: FloatArray) -> FloatArray:
        return normalize_to_highest(scores)


def _wishes(pod: PodView) -> Wishes:
    return pod.spec.affinity.node_affinity or Wishes()
