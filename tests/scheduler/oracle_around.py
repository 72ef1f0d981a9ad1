"""The part of the slow and obvious scheduler that looks at pods on other nodes: affinity between pods, spreading."""

from collections.abc import Mapping
from typing import Any

from make import to_json
from oracle import _labels_match, _tolerates

from scheduler.pods import PodView
from wherry.api.core.node import Node

# Every node, with the pods it has.
Cluster = list[tuple[Node, list[PodView]]]
Namespaces = Mapping[str, Mapping[str, str]]


def fits_around(pod: PodView, node: Node, cluster: Cluster, namespaces: Namespaces) -> bool:
    """Whether the pods that are placed allow one more on this node."""
    return (
        _is_near(pod, node, cluster, namespaces)
        and _is_away(pod, node, cluster, namespaces)
        and _is_welcome(pod, node, cluster, namespaces)
        and all(_is_spread(pod, node, each, cluster) for each in _constraints(pod, "DoNotSchedule"))
    )


def affinity_score(pod: PodView, node: Node, cluster: Cluster, namespaces: Namespaces) -> int:
    """What the pods around it speak for a node, before it is compared with others."""
    score = 0
    for other_node, others in cluster:
        for other in others:
            for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                asks = [(wish, pod, other) for wish in _wishes(pod, kind)]
                asks += [(wish, other, pod) for wish in _wishes(other, kind)]
                for wish, asking, asked in asks:
                    term = wish["podAffinityTerm"]
                    if _wants(term, asking, asked, namespaces) and _same(term, node, other_node):
                        score += sign * wish["weight"]
            for term in _required(other, "podAffinity"):
                score += _wants(term, other, pod, namespaces) and _same(term, node, other_node)
    return score


def _spec(pod: PodView) -> dict[str, Any]:
    """The specification as JSON; worked out once."""
    if "json" not in vars(pod):
        vars(pod)["json"] = to_json(pod.spec)
    found: dict[str, Any] = vars(pod)["json"]
    return {"affinity": {}, "topologySpreadConstraints": [], **found}


def _affinity(pod: PodView, kind: str) -> dict[str, Any]:
    return _spec(pod)["affinity"].get(kind) or {}


def _required(pod: PodView, kind: str) -> list[dict[str, Any]]:
    return _affinity(pod, kind).get("requiredDuringSchedulingIgnoredDuringExecution") or []


def _wishes(pod: PodView, kind: str) -> list[dict[str, Any]]:
    return _affinity(pod, kind).get("preferredDuringSchedulingIgnoredDuringExecution") or []


def _constraints(pod: PodView, action: str) -> list[dict[str, Any]]:
    defaults = {"whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    constraints = [defaults | constraint for constraint in _spec(pod)["topologySpreadConstraints"]]
    return [constraint for constraint in constraints if constraint["whenUnsatisfiable"] == action]


def _selects(selector: dict[str, Any] | None, labels: Mapping[str, str]) -> bool:
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        {
            "In": labels.get(each["key"]) in each.get("values", ()),
            "NotIn": labels.get(each["key"]) not in each.get("values", ()),
            "Exists": each["key"] in labels,
            "DoesNotExist": each["key"] not in labels,
        }[each["operator"]]
        for each in selector.get("matchExpressions") or ()
    )


def _wants(term: dict[str, Any], asking: PodView, asked: PodView, namespaces: Namespaces) -> bool:
    own, theirs = asking.metadata.labels, asked.metadata.labels
    named = term.get("namespaces") or []
    if not named and term.get("namespaceSelector") is None:
        named = [asking.metadata.namespace]
    namespace = asked.metadata.namespace
    if namespace not in named and not _selects(term.get("namespaceSelector"), namespaces.get(namespace, {})):
        return False
    same = all(theirs.get(key) == own[key] for key in term.get("matchLabelKeys", ()) if key in own)
    other = all(theirs.get(key) != own[key] for key in term.get("mismatchLabelKeys", ()) if key in own)
    return same and other and _selects(term.get("labelSelector"), theirs)


def _same(term: dict[str, Any], node: Node, other: Node) -> bool:
    key = term["topologyKey"]
    return key in node.metadata.labels and node.metadata.labels[key] == other.metadata.labels.get(key)


def _is_near(pod: PodView, node: Node, cluster: Cluster, namespaces: Namespaces) -> bool:
    terms = _required(pod, "podAffinity")
    if not all(term["topologyKey"] in node.metadata.labels for term in terms):
        return False

    def wants(other: PodView) -> bool:
        return all(_wants(term, pod, other, namespaces) for term in terms)

    friends = [where for where, others in cluster for other in others if wants(other)]
    if all(any(_same(term, node, friend) for friend in friends) for term in terms):
        return True
    is_anywhere = any(term["topologyKey"] in friend.metadata.labels for term in terms for friend in friends)
    return wants(pod) and not is_anywhere


def _is_away(pod: PodView, node: Node, cluster: Cluster, namespaces: Namespaces) -> bool:
    return not any(
        _wants(term, pod, other, namespaces) and _same(term, node, where)
        for term in _required(pod, "podAntiAffinity")
        for where, others in cluster
        for other in others
    )


def _is_welcome(pod: PodView, node: Node, cluster: Cluster, namespaces: Namespaces) -> bool:
    return not any(
        _wants(term, other, pod, namespaces) and _same(term, node, where)
        for where, others in cluster
        for other in others
        for term in _required(other, "podAntiAffinity")
    )


def _is_spread(pod: PodView, node: Node, constraint: dict[str, Any], cluster: Cluster) -> bool:
    key, labels = constraint["topologyKey"], pod.metadata.labels
    if key not in node.metadata.labels:
        return False
    held: dict[str, int] = {}
    for where, others in cluster:
        if _counts(pod, where, constraint):
            domain = where.metadata.labels[key]
            held[domain] = held.get(domain, 0) + sum(_is_alike(pod, other, constraint) for other in others)
    least = min(held.values(), default=0) if len(held) >= (constraint.get("minDomains") or 1) else 0
    itself = _selects(constraint.get("labelSelector"), labels)
    return held.get(node.metadata.labels[key], 0) + itself - least <= constraint["maxSkew"]


def _counts(pod: PodView, node: Node, constraint: dict[str, Any]) -> bool:
    if any(each["topologyKey"] not in node.metadata.labels for each in _constraints(pod, "DoNotSchedule")):
        return False
    if constraint.get("nodeTaintsPolicy") == "Honor":
        hard = [taint for taint in node.spec.taints if taint.effect in ("NoSchedule", "NoExecute")]
        if not all(_tolerates(pod, taint.key, taint.value, taint.effect) for taint in hard):
            return False
    return constraint.get("nodeAffinityPolicy") == "Ignore" or _labels_match(pod, node, [])


def _is_alike(pod: PodView, other: PodView, constraint: dict[str, Any]) -> bool:
    if other.metadata.namespace != pod.metadata.namespace or other.metadata.deleted_at is not None:
        return False
    selector, own, theirs = constraint.get("labelSelector"), pod.metadata.labels, other.metadata.labels
    same = [key for key in constraint.get("matchLabelKeys", ()) if key in own]
    if selector == {} and not same:
        return False  # one that selects all counts none
    return _selects(selector, theirs) and all(theirs.get(key) == own[key] for key in same)
