"""The priority levels and flow schemas that a cluster begins with. Kubernetes: flowcontrol bootstrap.

`exempt` and `catch-all` are mandatory: without them some requests would have no level. The others are suggestions.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
_EVERYTHING = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
_LEAD = ["get", "create", "update"]


def _groups(*names: str) -> list[Json]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Json]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _resources(verbs: list[str], group: str, resources: list[str], namespace: str = "*", **more: bool) -> Json:
    return {"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": [namespace], **more}


def _leading(namespace: str) -> list[Json]:
    """The requests of those who want to lead."""
    return [
        _resources(_LEAD, "", ["endpoints", "configmaps"], namespace),
        _resources(_LEAD, "coordination.k8s.io", ["leases"]),
    ]


def _limited(shares: int, queues: int, hand: int, *, lendable: int = 0) -> Json:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
    response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
    return {"type": "Limited", "limited": limited}


def _schema(level: str, precedence: int, subjects: list[Json], rules: Json, by: str = "ByUser") -> Json:
    spec: Json = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": subjects, **rules}],
    }
    if by:
        spec["distinguisherMethod"] = {"type": by}
    return spec


_EVERYBODY = _groups("system:unauthenticated", "system:authenticated")
_NODES = _groups("system:nodes")
_KUBE_SYSTEM: list[Json] = [{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}}]
_CONTROLLERS, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
_REJECT = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0}

PRIORITY_LEVELS: dict[str, Json] = {
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    "catch-all": {"type": "Limited", "limited": _REJECT},
}
FLOW_SCHEMAS: dict[str, Json] = {
    "exempt": _schema("exempt", 1, _groups("system:masters"), _EVERYTHING, by=""),
    "catch-all": _schema("catch-all", 10_000, _EVERYBODY, _EVERYTHING),
}

_SUGGESTED_LEVELS: dict[str, Json] = {
    "system": _limited(30, 64, 6, lendable=33),
    "node-high": _limited(40, 64, 6, lendable=25),
    "leader-election": _limited(10, 16, 4),
    "workload-high": _limited(40, 128, 6, lendable=50),
    "workload-low": _limited(100, 128, 6, lendable=90),
    "global-default": _limited(20, 128, 6, lendable=50),
}
_SUGGESTED_SCHEMAS: dict[str, Json] = {
    "system-nodes": _schema("system", 500, _NODES, _EVERYTHING),
    "system-node-high": _schema(
        "node-high",
        400,
        _NODES,
        {
            "resourceRules": [
                _resources(["*"], "", ["nodes", "nodes/status"], clusterScope=True),
                _resources(["*"], "coordination.k8s.io", ["leases"]),
            ]
        },
    ),
    "system-leader-election": _schema(
        "leader-election",
        100,
        _users(_CONTROLLERS, _SCHEDULER) + _KUBE_SYSTEM,
        {"resourceRules": _leading("kube-system")},
    ),
    "workload-leader-election": _schema("leader-election", 200, _KUBE_SYSTEM, {"resourceRules": _leading("*")}),
    "endpoint-controller": _schema(
        "workload-high",
        150,
        _users(_CONTROLLERS),
        {"resourceRules": [_resources(["get", "create", "update"], "", ["endpoints"])]},
    ),
    "kube-controller-manager": _schema("workload-high", 800, _users(_CONTROLLERS), _EVERYTHING, "ByNamespace"),
    "kube-scheduler": _schema("workload-high", 800, _users(_SCHEDULER), _EVERYTHING, "ByNamespace"),
    "kube-system-service-accounts": _schema("workload-high", 900, _KUBE_SYSTEM, _EVERYTHING, "ByNamespace"),
    "service-accounts": _schema("workload-low", 9000, _groups("system:serviceaccounts"), _EVERYTHING),
    "global-default": _schema("global-default", 9900, _EVERYBODY, _EVERYTHING),
    "probes": _schema(
        "exempt",
        2,
        _EVERYBODY,
        {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]},
        by="",
    ),
}


def flow_control_objects() -> list[Json]:
    """All of the above as objects."""
    levels = {**PRIORITY_LEVELS, **_SUGGESTED_LEVELS}
    schemas = {**FLOW_SCHEMAS, **_SUGGESTED_SCHEMAS}
    return [
        {
            "kind": kind,
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}},
            "spec": spec,
        }
        for kind, named in (("PriorityLevelConfiguration", levels), ("FlowSchema", schemas))
        for name, spec in named.items()
    ]
