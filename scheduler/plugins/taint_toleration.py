"""Keep pods off nodes whose taints they do not tolerate. Kubernetes: TaintToleration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.columns.tolerations import untolerated
from scheduler.framework import Plugin, Verdict, normalize_to_highest
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed
from wherry.api.core.node import Node

# Which taint it is, Kubernetes does not tell users since 1.35: only `wherry why` does.
REASON = "node(s) had untolerated taint(s)"


class TaintToleration(Plugin):
    """Keep pods off nodes with a hard taint they do not tolerate; prefer nodes with fewer soft ones."""

    order = 30
    weight = 3
    reads = ("spec.tolerations",)
    judges_one_by_one = True
    retry_when = (Added(Node), Changed(Node, "spec.taints"))

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        taints = nodes.taints
        refusals: dict[str, list[int]] = {}
        for on_node, number in taints.distinct():
            taint = next(untolerated(pod.spec.tolerations, on_node, ("NoSchedule", "NoExecute")), None)
            if taint:
                refusals.setdefault(f"{taint[0]}: {taint[1]}", []).append(number)
        for taint_text, numbers in refusals.items():
            yield Verdict(~taints.has_id(numbers), REASON, detail=taint_text)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray:
        taints = nodes.taints
        unwelcome = np.zeros(len(nodes))
        for on_node, number in taints.distinct():
            count = sum(1 for _ in untolerated(pod.spec.tolerations, on_node, ("PreferNoSchedule",)))
            if count:
                unwelcome[taints.has_id([number])] = count
        return unwelcome

    def normalize(self, scores: FloatArray) -> FloatArray:
        return normalize_to_highest(scores, reverse=True)
