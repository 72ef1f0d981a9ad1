"""May this user do this? Kubernetes: WithAuthorization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.access.rbac import Attributes
from apiserver.probes import is_health
from apiserver.request import Answer, Request, User
from wherry.machinery.errors import Forbidden, forbidden
from wherry.machinery.selectors import parse_field_selector

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

_COLLECTION_VERBS = ("list", "watch", "deletecollection")


async def authorize(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Go on only with what RBAC allows; a 403 says who may not do what."""
    wanted = attributes_of(request)
    if not is_health(request):
        decision = server.authorizer.decide(request.user, wanted)
        if server.audit is not None:
            request.annotations["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
            request.annotations["authorization.k8s.io/reason"] = decision.reason
        if not decision.allowed:
            raise refusal(request.user, wanted)
    return await proceed(server, request)


def attributes_of(request: Request) -> Attributes:
    """What the request wants, in the terms of RBAC."""
    target = request.target
    if target is None:
        return Attributes(request.verb, path=request.path)
    resource = f"{target.plural}/{target.subresource.partition('/')[0]}" if target.subresource else target.plural
    name, node = target.name, ""
    if not name and request.verb in _COLLECTION_VERBS and "fieldSelector" in request.query:
        name, node = _selected(request.first("fieldSelector"))
    return Attributes(request.verb, target.group, resource, target.namespace, name, node=node)


def _selected(selector: str) -> tuple[str, str]:
    """The object and the node that a field selector requires."""
    try:
        terms = parse_field_selector(selector)
    except ValueError:
        return "", ""  # the selector is refused later, with its own message
    return terms.required("metadata.name") or "", terms.required("spec.nodeName") or ""


def refusal(user: User, wanted: Attributes) -> Forbidden:
    """Kubernetes' text of a 403."""
    if wanted.path:
        return Forbidden(f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"', {})
    place = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    group = wanted.group
    why = f'User "{user.name}" cannot {wanted.verb} resource "{wanted.resource}" in API group "{group}" {place}'
    plural = wanted.resource.partition("/")[0]
    return forbidden(f"{plural}.{group}" if group else plural, wanted.name, why)
