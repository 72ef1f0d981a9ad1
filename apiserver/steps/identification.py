"""What a request is about: which resource, object and subresource, and which verb. Kubernetes: RequestInfoFactory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.request import Answer, Request, Target, split_path

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "HEAD": "get", "DELETE": "delete"}
# What follows /namespaces/NAME and is not a resource in that namespace but a subresource of the namespace itself.
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
# How many parts the path of a version has.
_ROOTS = {"api": 2, "apis": 3}
# What opens streams into a pod, by whichever method and protocol.
_STREAMS = {("pods", "exec"), ("pods", "attach"), ("pods", "portforward")}


async def identify_request(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Fill in `request.target` and `request.verb`."""
    watched = _watched(request)
    request.target = watched or target_of(request.path)
    request.verb = "watch" if watched else _verb(request)
    return await proceed(server, request)


def target_of(path: str) -> Target | None:
    """The target of a resource path; None for discovery, health and everything else.

    >>> target_of("/apis/apps/v1/namespaces/shop/deployments/web/scale")
    Target(group='apps', version='v1', plural='deployments', namespace='shop', name='web', subresource='scale')
    """
    parts = split_path(path)
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 2:
        namespace = rest[1]
        if len(rest) >= 3 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return Target(group, version, rest[0], namespace, name, "/".join(rest[2:]))


def _watched(request: Request) -> Target | None:
    """What is watched in the old way, by a GET of `/api/v1/watch/…`; a name becomes a field selector."""
    root, is_old, rest = request.path.partition("/watch/")
    parts = split_path(root)
    if not is_old or request.method != "GET" or len(parts) != _ROOTS.get(parts[0] if parts else ""):
        return None
    target = target_of(f"{root}/{rest}")
    if target is None or target.subresource:
        return None
    if target.name:
        terms = filter(None, (request.first("fieldSelector"), f"metadata.name={target.name}"))
        request.query["fieldSelector"] = [",".join(terms)]
    return target._replace(name="")


def _verb(request: Request) -> str:
    target = request.target
    if target is None:
        return request.method.lower()
    verb = _VERBS.get(request.method, request.method.lower())
    if (target.plural, target.subresource) in _STREAMS:
        return "create"  # an exec by GET changes things as much as one by POST
    if target.name:
        return verb
    if verb == "get":
        return "watch" if request.flag("watch") else "list"
    return "deletecollection" if verb == "delete" else verb
