"""What must be allowed to somebody who asks the kubelet for a path: subresources of its node. Pure.

Any one of them is enough. Kubernetes: pkg/kubelet/server/auth.go, with fine-grained authorization.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
}


def wanted(method: str, path: str, node: str) -> list[Json]:
    """The attributes of access reviews.

    >>> [each["subresource"] for each in wanted("GET", "/pods/", "n1")]
    ['pods', 'proxy']
    """
    subresources = _SUBRESOURCES.get(path.lstrip("/").partition("/")[0], ("proxy",))
    what = {"verb": _VERBS.get(method, ""), "version": "v1", "resource": "nodes", "name": node}
    return [{**what, "subresource": subresource} for subresource in subresources]


def refusal(user: str, asked: list[Json]) -> str:
    """What somebody reads who may not."""
    names = " ".join(each["subresource"] for each in asked)
    return f"Forbidden (user={user}, verb={asked[0]['verb']}, resource=nodes, subresource(s)=[{names}])\n"
