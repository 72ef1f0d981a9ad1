"""Label keys: what a new pod says about pods with the same, or other, labels is written into its selectors.

A term with `matchLabelKeys: [version]` of a pod with the label `version=2` selects `version in (2)` for good,
whatever becomes of the label. Kubernetes: the pod strategy's PrepareForCreate, with MatchLabelKeysInPodAffinity and
MatchLabelKeysInPodTopologySpreadSelectorMerge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def write_label_keys(pod: Json) -> None:
    """Extend the selectors of a new pod's terms and spread constraints."""
    labels, spec = pod["metadata"].get("labels") or {}, pod.get("spec") or {}
    for term in (*_terms(spec.get("affinity") or {}), *(spec.get("topologySpreadConstraints") or ())):
        _extend(term, labels)


def _terms(affinity: Json) -> Iterator[Json]:
    for side in ("podAffinity", "podAntiAffinity"):
        said = affinity.get(side) or {}
        yield from said.get(_REQUIRED) or ()
        yield from (wish["podAffinityTerm"] for wish in said.get(_PREFERRED) or () if wish.get("podAffinityTerm"))


def _extend(term: Json, labels: dict[str, str]) -> None:
    """
    >>> term = {"labelSelector": {}, "matchLabelKeys": ["a", "x"], "mismatchLabelKeys": ["b"]}
    >>> _extend(term, {"a": "1", "b": "2"})
    >>> [tuple(each.values()) for each in term["labelSelector"]["matchExpressions"]]
    [('a', 'In', ['1']), ('b', 'NotIn', ['2'])]
    """
    selector = term.get("labelSelector")
    keys = [(key, "In") for key in term.get("matchLabelKeys") or ()]
    keys += [(key, "NotIn") for key in term.get("mismatchLabelKeys") or ()]
    more = [{"key": key, "operator": how, "values": [labels[key]]} for key, how in keys if key in labels]
    if selector is not None and more:  # a term without a selector selects nothing, and still does
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *more]
