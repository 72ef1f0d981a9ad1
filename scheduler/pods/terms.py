"""Terms: what a pod says about other pods, its selectors compiled once.

`matchLabelKeys` and `mismatchLabelKeys` join the selector here, with the values of the pod's own labels. The API server
has done so, too, when the pod was made (`wherry/api/core/pod/label_keys.py`), but older ones have not.

Kubernetes: framework.AffinityTerm. Differs: a label that was changed since then is looked at as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.core.pod.spec import PodAffinity, PodAffinityTerm
from wherry.api.meta import Selector
from wherry.machinery.selectors import Requirement, Requirements, from_label_selector


class Group(NamedTuple):
    """What selectors can know of a pod; pods that agree on it are counted together."""

    namespace: str
    labels: frozenset[tuple[str, str]]
    is_going: bool = False


class Role(Enum):
    """What becomes of a term: it must hold, must not hold, or counts by its weight, against a node if negative."""

    NEAR = "near"
    AWAY = "away"
    WISH = "wish"


class Term(NamedTuple):
    """Pods to be near to, or away from, within one value of `topology_key`."""

    role: Role
    weight: int
    topology_key: str
    selector: Requirements
    namespaces: frozenset[str]
    namespace_selector: Requirements

    def wants(self, group: Group, namespace_labels: Mapping[str, str]) -> bool:
        """Whether the term speaks of pods of this group, whose namespace has these labels."""
        if group.namespace not in self.namespaces and not self.namespace_selector.matches(namespace_labels):
            return False
        return self.selector.matches(dict(group.labels))


def group_of(pod: Pod) -> Group:
    """The group the pod is counted in."""
    metadata = pod.metadata
    return Group(metadata.namespace, frozenset(metadata.labels.items()), metadata.deleted_at is not None)


def terms_of(pod: Pod) -> tuple[Term, ...]:
    """Everything the pod says about other pods, first what it requires."""
    affinity = pod.spec.affinity
    if affinity.pod_affinity is None and affinity.pod_anti_affinity is None:
        return ()
    near = tuple(_terms(pod, affinity.pod_affinity or PodAffinity(), Role.NEAR, 1))
    return near + tuple(_terms(pod, affinity.pod_anti_affinity or PodAffinity(), Role.AWAY, -1))


def joined(
    selector: Selector | None, labels: Mapping[str, str], same: Iterable[str], other: Iterable[str] = ()
) -> Requirements:
    """The selector, and: the same value as in `labels` for these keys, and another one for those."""
    compiled = from_label_selector(None if selector is None else selector.raw)
    more = [Requirement(key, "in", (labels[key],)) for key in same if key in labels]
    more += [Requirement(key, "notin", (labels[key],)) for key in other if key in labels]
    return Requirements((*compiled.terms, *more), compiled.selects_nothing)


def _terms(pod: Pod, affinity: PodAffinity, role: Role, sign: int) -> Iterator[Term]:
    for term in affinity.required_during_scheduling_ignored_during_execution:
        yield _term(pod, term, role, 0)
    for wish in affinity.preferred_during_scheduling_ignored_during_execution:
        yield _term(pod, wish.pod_affinity_term, Role.WISH, sign * wish.weight)


def _term(pod: Pod, term: PodAffinityTerm, role: Role, weight: int) -> Term:
    is_own = not term.namespaces and term.namespace_selector is None
    return Term(
        role,
        weight,
        term.topology_key,
        joined(term.label_selector, pod.metadata.labels, term.match_label_keys, term.mismatch_label_keys),
        frozenset((pod.metadata.namespace,) if is_own else term.namespaces),
        from_label_selector(None if term.namespace_selector is None else term.namespace_selector.raw),
    )
