"""Keep pods on nodes with the labels they ask for. Kubernetes: NodeAffinity, `spec.nodeSelector` included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from pydantic import ConfigDict, field_validator

from scheduler.columns import Columns, FloatArray
from scheduler.columns.node_selectors import is_empty, matching, matching_any
from scheduler.framework import Plugin, PluginArgs, Verdict, normalize_to_highest
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed
from wherry.api.core.node import Node
from wherry.api.core.pod.spec import NodeAffinity as Wishes
from wherry.api.core.pod.validation.scheduling import check_node_affinity
from wherry.machinery.schema import walk
from wherry.machinery.schema.definitions import definition

REASON = "node(s) didn't match Pod's node affinity/selector"
SCHEMA = "io.k8s.api.core.v1.NodeAffinity"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"


class NodeAffinityArgs(PluginArgs):
    """What all pods of the profile ask for, besides what they say themselves."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    added_affinity: Wishes = Wishes()

    @field_validator("added_affinity", mode="before")
    @classmethod
    def _is_affinity(cls, value: Any) -> Wishes:
        if value is None or isinstance(value, Wishes):
            return value or Wishes()
        try:
            wishes = Wishes.read(value)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        unknown = walk(value, definition(SCHEMA)).unknown
        problems = [f'unknown field "{path}"' for path in unknown] + [str(each) for each in check_node_affinity(wishes)]
        if problems:
            raise ValueError("; ".join(problems))
        return wishes


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
