"""Pods that name the one node they are meant for, as those of DaemonSets do: nobody needs to look at the others.

Kubernetes: NodeAffinity's PreFilter, which narrows the nodes down to those that `matchFields` names.
"""

from __future__ import annotations

import numpy as np

from scheduler.columns import Columns
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Choice
from scheduler.pods import PodView
from wherry.api.core.pod.spec import NodeSelectorTerm


def named_node(pod: PodView) -> str:
    """The only node that the pod's required affinity allows by name; empty if it allows several, or says nothing."""
    affinity = pod.spec.affinity.node_affinity
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    names = {_name_in(term) for term in required.node_selector_terms} if required else set()
    return names.pop() if len(names) == 1 else ""


def _name_in(term: NodeSelectorTerm) -> str:
    for field in term.match_fields:
        if field.key == "metadata.name" and field.operator == "In" and len(field.values) == 1:
            return field.values[0]
    return ""


def choice_of_one(pod: PodView, nodes: Columns, panel: Panel) -> Choice | None:
    """The named node if the pod fits there. None: it names none, or must be explained why it does not fit."""
    return choice_at(named_node(pod), pod, nodes, panel)


def choice_at(node: str, pod: PodView, nodes: Columns, panel: Panel) -> Choice | None:
    """This node if the pod fits there."""
    row = nodes.row_of(node)
    if row is None:
        return None
    look = panel.look(pod, nodes.at(np.array([row])))
    return Choice(nodes.names[row], float(panel.plain_total(look)[0]), "", 0.0) if look.feasible[0] else None
