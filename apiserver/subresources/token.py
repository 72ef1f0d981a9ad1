"""`serviceaccounts/token`: a token for an account, for a while. Kubernetes: TokenRequest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from apiserver import resources
from apiserver.access.tokens import DEFAULT_SECONDS, Bound, Named
from apiserver.matching.attributes import Facet, Names
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from wherry.api.authentication.token_request import TokenRequest
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.secret import Secret
from wherry.api.core.service_account import ServiceAccount
from wherry.machinery.errors import BadRequest, conflict, invalid_object, not_found
from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_KIND = Names("authentication.k8s.io", "v1", "TokenRequest")
MIN_SECONDS, MAX_SECONDS = 600, 2**32
_BINDABLE: dict[str, type[Resource]] = {"Pod": Pod, "Secret": Secret, "Node": Node}


@subresource("serviceaccounts/token", verbs=("create",), kind=("authentication.k8s.io", "v1", "TokenRequest"))
async def token(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """POST: issue a token, bound to an object if one is named."""
    write = resources.write_of(request, cls, "CREATE")
    draft = await resources.read_draft(request, TokenRequest)
    write.facet = Facet("token", "CREATE", _KIND, lambda _: draft, lambda _, changed: draft.update(changed))
    spec = draft.setdefault("spec", {})
    seconds = spec.setdefault("expirationSeconds", DEFAULT_SECONDS)
    errors: list[FieldError] = []
    if seconds < MIN_SECONDS:
        errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MAX_SECONDS:
        errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if errors:
        raise invalid_object("TokenRequest.authentication.k8s.io", write.name, errors)
    stored = await server.rest(cls).get(write.namespace, write.name)
    account = ServiceAccount.read(stored.item)
    bound = await _bound(server, spec.get("boundObjectRef"), write.namespace, write.name)
    audiences = spec.get("audiences") or []
    spec["audiences"] = audiences or list(server.tokens.audiences)
    await server.admission.mutate(draft, None, write)
    await server.admission.validate(draft, None, write)
    signed, expires = server.tokens.issue(account, server.now(), seconds, audiences, bound)
    draft["metadata"] = {"name": write.name, "namespace": write.namespace}
    draft["metadata"]["creationTimestamp"] = time_text(server.now())
    draft["status"] = {"token": signed, "expirationTimestamp": time_text(expires)}
    return resources.respond(server, request, TokenRequest, orjson.dumps(draft), 201)


async def _bound(server: Server, reference: Draft | None, namespace: str, account: str) -> Bound | None:
    if not reference:
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    group, _, version = reference.get("apiVersion", "").rpartition("/")
    cls = _BINDABLE.get(kind) if not group else None
    if cls is None:
        raise BadRequest(f"cannot bind token for serviceaccount to type {group}/{version}, Kind={kind}")
    await server.cache.fresh()
    stored = server.cache.of(cls).get(namespace if cls.kind.namespaced else "", name)
    if stored is None:
        raise not_found(cls.kind.resource, name)
    uid = cls.read(stored.item).metadata.uid
    if reference.get("uid") and reference["uid"] != uid:
        why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record ({uid})"
        raise conflict(cls.kind.resource, name, why)
    if kind != "Pod":
        return Bound(kind, name, uid)
    pod = Pod.read(stored.item).spec
    if pod.service_account_name != account:
        detail = f"cannot bind token for serviceaccount {account!r} to a pod running with a different one"
        error = invalid("spec.boundObjectRef", name, detail)
        raise invalid_object("TokenRequest.authentication.k8s.io", account, [error])
    node = server.cache.of(Node).get("", pod.node_name)
    return Bound(kind, name, uid, Named(node.name, Node.read(node.item).metadata.uid) if node is not None else None)
