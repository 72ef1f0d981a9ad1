"""Review APIs: questions about who somebody is and what they may do. Answered, never stored.

Kubernetes: authentication.k8s.io and authorization.k8s.io.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from apiserver.access.bootstrap_tokens import user_of_token
from apiserver.access.rbac import Attributes
from apiserver.request import Request, User
from wherry.machinery.errors import BadRequest, Unauthorized, invalid_object
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Kind

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
Review = Callable[["Server", Request, Draft], Awaitable[Draft]]

_REVIEWS: dict[str, Review] = {}


def review(kind: str) -> Callable[[Review], Review]:
    """Register the answer to a kind of question: a function from request and draft to the status."""

    def registered(answer: Review) -> Review:
        _REVIEWS[kind] = answer
        return answer

    return registered


def review_of(kind: Kind) -> Review | None:
    """Who answers reviews of this kind, if it is a review; a custom kind of such a name is none."""
    return None if kind.is_custom else _REVIEWS.get(kind.name)


@review("SelfSubjectReview")
async def who_am_i(server: Server, request: Request, draft: Draft) -> Draft:
    """`kubectl auth whoami`."""
    return {"userInfo": user_fields(request.user)}


@review("TokenReview")
async def token(server: Server, request: Request, draft: Draft) -> Draft:
    """Who holds this token?"""
    spec = draft.get("spec") or {}
    audiences = tuple(spec.get("audiences") or ())
    try:
        user = user_of_token(server, spec.get("token", ""), audiences)
    except Unauthorized:
        # An issuer's tokens say for which program they are, and nothing about audiences of this server.
        ours = not audiences or set(audiences) & set(server.tokens.audiences)
        issued = await server.issuers.user_of(spec.get("token", "")) if server.issuers and ours else None
        if issued is None:
            return {"user": {}, "error": "invalid bearer token"}
        user, audiences = issued, tuple(each for each in audiences if each in server.tokens.audiences)
    known = [each for each in audiences if each] or list(server.tokens.audiences)
    return {"authenticated": True, "user": user_fields(user), "audiences": known}


@review("SelfSubjectAccessReview")
async def may_i(server: Server, request: Request, draft: Draft) -> Draft:
    """`kubectl auth can-i`."""
    return _decide(server, request.user, draft, "SelfSubjectAccessReview")


@review("SubjectAccessReview")
async def may_they(server: Server, request: Request, draft: Draft) -> Draft:
    """May somebody else do this?"""
    return _decide(server, _subject(draft, "SubjectAccessReview"), draft, "SubjectAccessReview")


@review("LocalSubjectAccessReview")
async def may_they_here(server: Server, request: Request, draft: Draft) -> Draft:
    """May somebody else do this in this namespace?"""
    asked = ((draft.get("spec") or {}).get("resourceAttributes") or {}).get("namespace")
    namespace = request.target.namespace if request.target else ""
    if asked != namespace:
        detail = f"Invalid value: {asked!r}: must match metadata.namespace"
        errors = [FieldError("spec.resourceAttributes.namespace", "FieldValueInvalid", detail)]
        raise invalid_object("LocalSubjectAccessReview.authorization.k8s.io", "", errors)
    return _decide(server, _subject(draft, "LocalSubjectAccessReview"), draft, "LocalSubjectAccessReview")


@review("SelfSubjectRulesReview")
async def what_may_i(server: Server, request: Request, draft: Draft) -> Draft:
    """`kubectl auth can-i --list`."""
    namespace = (draft.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    resource_rules: list[Draft] = []
    path_rules: list[Draft] = []
    if "system:masters" in request.user.groups:
        resource_rules.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        path_rules.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    for grant in server.authorizer.grants(request.user):
        if grant.namespace not in ("", namespace):
            continue
        for rule in grant.rules:
            wire = rule.to_wire()
            if rule.resources:
                resource_rules.append({key: value for key, value in wire.items() if key != "nonResourceURLs"})
            if rule.non_resource_urls and not grant.namespace:
                path_rules.append({"verbs": list(rule.verbs), "nonResourceURLs": list(rule.non_resource_urls)})
    return {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False}


def user_fields(user: User) -> Draft:
    """A user as reviews show one."""
    fields: Draft = {"username": user.name}
    if user.uid:
        fields["uid"] = user.uid
    fields["groups"] = list(user.groups)
    if user.extra:
        fields["extra"] = {key: list(values) for key, values in user.extra}
    return fields


def _subject(draft: Draft, kind: str) -> User:
    spec = draft.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        detail = "Invalid value: null: at least one of user or group must be specified"
        raise invalid_object(f"{kind}.authorization.k8s.io", "", [FieldError("spec.user", "FieldValueInvalid", detail)])
    extra = tuple((key, tuple(values)) for key, values in sorted((spec.get("extra") or {}).items()))
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _decide(server: Server, user: User, draft: Draft, kind: str) -> Draft:
    spec = draft.get("spec") or {}
    resource: Draft | None = spec.get("resourceAttributes")
    path: Draft | None = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        detail = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors = [FieldError("spec.resourceAttributes", "FieldValueInvalid", detail)]
        raise invalid_object(f"{kind}.authorization.k8s.io", "", errors)
    if resource is None:
        path = path or {}
        wanted = Attributes(path.get("verb", ""), path=path.get("path", ""))
    else:
        name = resource.get("resource", "")
        name += f"/{resource['subresource']}" if resource.get("subresource") else ""
        place = resource.get("namespace", "")
        wanted = Attributes(resource.get("verb", ""), resource.get("group", ""), name, place, resource.get("name", ""))
    decision = server.authorizer.decide(user, wanted)
    status: Draft = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return status
