"""The roles and bindings every cluster begins with. Kubernetes: bootstrappolicy, the part that Wherry's own
components and its users need; each component may do what it does and no more.
"""

from __future__ import annotations

from typing import Any

Rule = dict[str, Any]

READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
ALL = ["*"]
_GROUP = "rbac.authorization.k8s.io"

_VIEWED = {
    "": [
        "configmaps",
        "endpoints",
        "events",
        "namespaces",
        "namespaces/status",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "replicationcontrollers/status",
        "limitranges",
        "resourcequotas",
        "resourcequotas/status",
        "serviceaccounts",
        "services",
        "services/status",
    ],
    "apps": [
        "controllerrevisions",
        *(
            f"{kind}{sub}"
            for kind in ("daemonsets", "deployments", "replicasets", "statefulsets")
            for sub in ("", "/status")
        ),
        *(f"{kind}/scale" for kind in ("deployments", "replicasets", "statefulsets")),
    ],
    "batch": ["cronjobs", "cronjobs/status", "jobs", "jobs/status"],
    "autoscaling": ["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
    "policy": ["poddisruptionbudgets", "poddisruptionbudgets/status"],
    "networking.k8s.io": ["ingresses", "ingresses/status", "networkpolicies"],
    "resource.k8s.io": ["resourceclaims", "resourceclaims/status", "resourceclaimtemplates"],
    "scheduling.k8s.io": ["podgroups", "podgroups/status", "workloads"],
    "discovery.k8s.io": ["endpointslices"],
    "events.k8s.io": ["events"],
    "metrics.k8s.io": ["nodes", "pods"],
}
_EDITED = {
    "": [
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/attach",
        "pods/eviction",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "services",
        "services/proxy",
    ],
    "apps": [
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ],
    "batch": ["cronjobs", "jobs"],
    "autoscaling": ["horizontalpodautoscalers"],
    "policy": ["poddisruptionbudgets"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "resource.k8s.io": ["resourceclaims", "resourceclaimtemplates"],
    "scheduling.k8s.io": ["podgroups", "workloads"],
}


def _rule(verbs: list[str], resources: str | list[str], group: str = "", **more: Any) -> Rule:
    names = resources.split() if isinstance(resources, str) else resources
    return {"verbs": verbs, "apiGroups": [group], "resources": names, **more}


def _paths(verbs: list[str], *paths: str) -> Rule:
    return {"verbs": verbs, "nonResourceURLs": list(paths)}


_VIEW = [_rule(READ, resources, group) for group, resources in _VIEWED.items()]
_EDIT = [
    *(_rule(WRITE, resources, group) for group, resources in _EDITED.items()),
    _rule(READ, "secrets pods/attach pods/exec pods/portforward pods/proxy services/proxy"),
    _rule(["create"], "serviceaccounts/token"),
    _rule(["impersonate"], "serviceaccounts"),
    _rule([*READ, *WRITE], "leases", "coordination.k8s.io"),
]
_ADMIN = [
    _rule([*READ, *WRITE], "roles rolebindings", _GROUP),
    _rule(["create"], "localsubjectaccessreviews", "authorization.k8s.io"),
]
_RECORD_EVENTS = [
    _rule(["create", "patch", "update"], "events"),
    _rule(["create", "patch", "update"], "events", "events.k8s.io"),
]
_DELEGATES = [
    _rule(["create"], "tokenreviews", "authentication.k8s.io"),
    _rule(["create"], "subjectaccessreviews", "authorization.k8s.io"),
]
_LEAD = [_rule(["create", "get", "list", "update", "watch", "patch"], "leases", "coordination.k8s.io")]

_CERTIFICATES = "certificates.k8s.io"
_SIGNERS = [
    f"kubernetes.io/{name}" for name in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving")
]
# The authority's key is the controllers'; which nodes may have a certificate unasked is for reviews to say.
_CERTIFIES = [
    _rule(["sign"], "signers", _CERTIFICATES, resourceNames=_SIGNERS),
    _rule(["approve"], "signers", _CERTIFICATES, resourceNames=["kubernetes.io/kube-apiserver-client-kubelet"]),
]

CLUSTER_ROLES: dict[str, list[Rule]] = {
    "cluster-admin": [_rule(ALL, ["*"], "*"), _paths(ALL, "*")],
    # These three begin as what they will be: the sums of the roles that they select (`AGGREGATED`).
    "admin": [*_ADMIN, *_EDIT, *_VIEW],
    "edit": [*_EDIT, *_VIEW],
    "view": _VIEW,
    "system:aggregate-to-admin": _ADMIN,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-view": _VIEW,
    "system:discovery": [
        _paths(
            ["get"], "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"
        ),
        _paths(["get"], "/version", "/version/"),
    ],
    "system:basic-user": [
        _rule(["create"], "selfsubjectaccessreviews selfsubjectrulesreviews", "authorization.k8s.io"),
        _rule(["create"], "selfsubjectreviews", "authentication.k8s.io"),
    ],
    "system:public-info-viewer": [_paths(["get"], "/healthz", "/livez", "/readyz", "/version", "/version/")],
    "system:service-account-issuer-discovery": [
        _paths(["get"], "/.well-known/openid-configuration", "/openid/v1/jwks")
    ],
    # For aggregated API servers: to ask this one who somebody is and what he may.
    "system:auth-delegator": _DELEGATES,
    "system:aggregated-metrics-reader": [_rule(READ, "nodes pods", "metrics.k8s.io")],
    # Who may do all that a kubelet's port serves.
    "system:kubelet-api-admin": [
        _rule(READ, "nodes"),
        _rule(["*"], "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
    ],
    "system:monitoring": [
        _paths(["get"], "/metrics", "/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*")
    ],
    "system:kube-scheduler": [
        *_DELEGATES,
        *_RECORD_EVENTS,
        *_LEAD,
        _rule([*READ, "delete"], "pods"),
        _rule(["create"], "bindings pods/binding pods/eviction"),
        _rule(["patch", "update"], "pods/status"),
        _rule(READ, "nodes namespaces services replicationcontrollers"),
        _rule(READ, "replicasets statefulsets", "apps"),
        _rule(READ, "poddisruptionbudgets", "policy"),
        _rule(READ, "storageclasses", "storage.k8s.io"),
        _rule(READ, "priorityclasses podgroups", "scheduling.k8s.io"),
        _rule(["patch", "update"], "podgroups/status", "scheduling.k8s.io"),
        _rule(READ, "fairshares queues", "scheduling.wherry.dev"),
        _rule(["patch", "update"], "fairshares/status", "scheduling.wherry.dev"),
        _rule(READ, "deviceclasses resourceslices", "resource.k8s.io"),
        _rule([*READ, "patch", "update"], "resourceclaims resourceclaims/status", "resource.k8s.io"),
    ],
    # What the scheduler does about volumes before it binds a pod.
    "system:volume-scheduler": [
        _rule([*READ, "patch", "update"], "persistentvolumes persistentvolumeclaims"),
        _rule(READ, "storageclasses csinodes csidrivers csistoragecapacities volumeattachments", "storage.k8s.io"),
    ],
    # Controllers delete what belongs to whatever is gone, and empty namespaces: they need every kind, but no more
    # verbs.
    "system:kube-controller-manager": [
        *_DELEGATES,
        *_RECORD_EVENTS,
        *_LEAD,
        _rule([*READ, "delete", "deletecollection", "patch", "update"], ["*"], "*"),
        _rule(
            ["create"],
            "pods pods/eviction endpoints configmaps serviceaccounts serviceaccounts/token persistentvolumes "
            "persistentvolumeclaims",
        ),
        _rule(["create"], "replicasets controllerrevisions", "apps"),
        _rule(["create"], "jobs", "batch"),
        _rule(["create"], "resourceclaims", "resource.k8s.io"),
        _rule(["create"], "podgroups", "scheduling.k8s.io"),
        _rule(["create"], "ipaddresses", "networking.k8s.io"),
        _rule(["create"], "endpointslices", "discovery.k8s.io"),
        *_CERTIFIES,
        # Whoever adds up roles writes down rights that he need not have.
        _rule(["escalate"], "clusterroles", _GROUP),
        _paths(["get"], "/api", "/api/*", "/apis", "/apis/*"),
    ],
    # Nobody has these unless he is given them: a node's first certificate, its renewal, and the right to say yes.
    "system:node-bootstrapper": [_rule(["create", *READ], "certificatesigningrequests", _CERTIFICATES)],
    **{
        f"system:{_CERTIFICATES}:certificatesigningrequests:{permission}": [
            _rule(["create"], f"certificatesigningrequests/{permission}", _CERTIFICATES)
        ]
        for permission in ("nodeclient", "selfnodeclient")
    },
    **{
        f"system:{_CERTIFICATES}:{signer.removeprefix('kubernetes.io/')}-approver": [
            _rule(["approve"], "signers", _CERTIFICATES, resourceNames=[signer])
        ]
        for signer in _SIGNERS
    },
    "system:node-proxier": [
        *_RECORD_EVENTS,
        _rule(READ, "services endpoints nodes"),
        _rule(READ, "endpointslices", "discovery.k8s.io"),
    ],
}

# The roles that are sums of others. Whatever is labelled `aggregate-to-view` is added to `view`, and so to the others.
AGGREGATED = ("admin", "edit", "view")
_PARTS = {
    "edit": "admin",
    "view": "edit",
    **{f"system:aggregate-to-{name}": name for name in AGGREGATED},
}

# binding -> (cluster role, subjects as (kind, name))
CLUSTER_ROLE_BINDINGS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "cluster-admin": ("cluster-admin", [("Group", "system:masters")]),
    "system:discovery": ("system:discovery", [("Group", "system:authenticated")]),
    "system:basic-user": ("system:basic-user", [("Group", "system:authenticated")]),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        [("Group", "system:authenticated"), ("Group", "system:unauthenticated")],
    ),
    "system:service-account-issuer-discovery": (
        "system:service-account-issuer-discovery",
        [("Group", "system:serviceaccounts")],
    ),
    "system:monitoring": ("system:monitoring", [("Group", "system:monitoring")]),
    "system:kube-scheduler": ("system:kube-scheduler", [("User", "system:kube-scheduler")]),
    "system:volume-scheduler": ("system:volume-scheduler", [("User", "system:kube-scheduler")]),
    "system:kube-controller-manager": ("system:kube-controller-manager", [("User", "system:kube-controller-manager")]),
    "system:node-proxier": ("system:node-proxier", [("User", "system:kube-proxy")]),
}


def policy_objects() -> list[dict[str, Any]]:
    """All of the above as objects."""
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    annotations = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    objects: list[dict[str, Any]] = []
    for name, rules in CLUSTER_ROLES.items():
        more = {_aggregate_to(_PARTS[name]): "true"} if name in _PARTS else {}
        metadata = {"name": name, "labels": labels | more, "annotations": annotations}
        draft = {"kind": "ClusterRole", "apiVersion": f"{_GROUP}/v1", "metadata": metadata, "rules": rules}
        if name in AGGREGATED:
            draft["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_aggregate_to(name): "true"}}]}
        objects.append(draft)
    for name, (role, subjects) in CLUSTER_ROLE_BINDINGS.items():
        metadata = {"name": name, "labels": labels, "annotations": annotations}
        binding: dict[str, Any] = {"kind": "ClusterRoleBinding", "apiVersion": f"{_GROUP}/v1", "metadata": metadata}
        binding["roleRef"] = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role}
        binding["subjects"] = [{"kind": kind, "apiGroup": _GROUP, "name": subject} for kind, subject in subjects]
        objects.append(binding)
    # Given to an aggregated API server, it says by what that server knows this one's clients.
    metadata = {"name": "extension-apiserver-authentication-reader", "namespace": "kube-system", "labels": labels}
    reader = _rule(READ, "configmaps", resourceNames=["extension-apiserver-authentication"])
    metadata["annotations"] = annotations
    objects.append({"kind": "Role", "apiVersion": f"{_GROUP}/v1", "metadata": metadata, "rules": [reader]})
    return objects


def _aggregate_to(name: str) -> str:
    """The label that makes a role part of another."""
    return f"rbac.authorization.k8s.io/aggregate-to-{name}"
