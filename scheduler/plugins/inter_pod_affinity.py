"""Keep pods near to others, or away from them. Kubernetes: InterPodAffinity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from scheduler.columns import Columns, FloatArray
from scheduler.columns.nearness import where_near, where_none
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs, Verdict, in_turn
from scheduler.pods import PodView
from scheduler.pods.terms import Role
from scheduler.triggers import Added, Changed, Deleted, Placed
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_AWAY = "node(s) didn't match pod anti-affinity rules"
NOT_WELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"


class InterPodAffinityArgs(PluginArgs):
    """What the terms of placed pods weigh for others: their required affinity, and whether their wishes count."""

    hard_pod_affinity_weight: int = Field(default=1, ge=0, le=100)
    ignore_preferred_terms_of_existing_pods: bool = False


class InterPodAffinity(Plugin):
    """Heed what a pod requires and wishes of the pods around it, and what those require and wish of it."""

    order = 110
    weight = 2
    reads = ("spec.affinity.pod_affinity", "spec.affinity.pod_anti_affinity")
    retry_when = (
        *(Placed(Pod), Deleted(Pod), Changed(Pod, "metadata.labels")),
        *(Added(Node), Changed(Node, "metadata.labels"), Added(Namespace), Changed(Namespace, "metadata.labels")),
    )
    Args = InterPodAffinityArgs

    def looks_around(self, pod: PodView, nodes: Columns) -> bool:
        return bool(pod.terms or nodes.neighbours.asking(pod))

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        around = nodes.neighbours
        own = [(term, around.wanted(term)) for term in pod.terms if term.role is Role.AWAY]
        others = [(term, around.holders(term)) for term in around.asking(pod) if term.role is Role.AWAY]
        checks = (
            (where_near(pod, nodes), NOT_NEAR, False),
            (where_none(own, nodes), NOT_AWAY, True),
            (where_none(others, nodes), NOT_WELCOME, True),
        )
        yield from in_turn(((mask, why, yields) for mask, why, yields in checks if mask is not None), nodes)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        around, args = nodes.neighbours, self.args
        wishes = [(term, term.weight, around.wanted(term)) for term in pod.terms if term.role is Role.WISH]
        if wishes or not args.ignore_preferred_terms_of_existing_pods:
            weights = {Role.NEAR: args.hard_pod_affinity_weight, Role.AWAY: 0}
            asked = [(term, weights.get(term.role, term.weight)) for term in around.asking(pod)]
            wishes += [(term, weight, around.holders(term)) for term, weight in asked if weight]
        if not wishes:
            return None
        score = np.zeros(len(nodes.names))
        for term, weight, pods in wishes:
            score += weight * nodes.domains(term.topology_key).summed(pods)
        return nodes.here(score)

    def normalize(self, scores: FloatArray) -> FloatArray:
        least, most = scores.min(initial=np.inf), scores.max(initial=-np.inf)
        return (scores - least) * (HIGHEST_SCORE / (most - least)) if most > least else np.zeros_like(scores)
