"""Where pods are that a pod's terms speak of, and where they are not; over all nodes, whatever the window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.columns.arrays import IntArray, Mask
from scheduler.columns.window import Columns
from scheduler.pods.terms import Role, Term
from scheduler.pods.view import PodView


def where_near(pod: PodView, nodes: Columns) -> Mask | None:
    """Where all is near that the pod requires; None if it requires nothing.

    The first of pods that want each other goes wherever the labels are, for it would wait for itself.
    """
    terms = [term for term in pod.terms if term.role is Role.NEAR]
    if not terms:
        return None
    wanted = nodes.neighbours.wanted(*terms)
    domains = [nodes.domains(term.topology_key) for term in terms]
    held = [each.summed(wanted) for each in domains]
    found: Mask = np.logical_and.reduce([each.has for each in domains])
    if any(each.any() for each in held) or not all(nodes.neighbours.wants(term, pod.group) for term in terms):
        found &= np.logical_and.reduce([each > 0 for each in held])
    return found


def where_none(terms: Sequence[tuple[Term, IntArray]], nodes: Columns) -> Mask | None:
    """Where no term's domain holds the pods counted with it; None if there are no terms."""
    if not terms:
        return None
    found: Mask = np.logical_and.reduce([nodes.domains(term.topology_key).summed(pods) == 0 for term, pods in terms])
    return found
