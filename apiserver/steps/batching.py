"""Many objects in one request: a List that is posted to `/api/v1/bindings`, `/api/v1/events` or `/api/v1/pods`, or
comes with a DELETE of `/api/v1/pods`.

    POST /api/v1/bindings
    {"kind": "List", "apiVersion": "v1", "items": [{"metadata": {"namespace": "shop", "name": "web-1"}, …}, …]}

    DELETE /api/v1/pods
    {"kind": "List", "apiVersion": "v1", "items": [{"kind": "DeleteOptions", "metadata": {…}, "preconditions": {…}}, …]}

Each item goes its own way from here on, as if it had come alone to `pods/NAME/binding`, to the `events` or `pods` of
its namespace, or to the pod that is to go: authorized, admitted, checked, written to the audit log by itself, with an
id of its own and a note under which the batch stands there, and seen by watchers as ever. What they share is the way
here, and, as all of them wait for the disk together, mostly the commit. The answer is a List with a Status for each
item, in their order; that of a new pod says which version it is. Whoever sends one must be allowed to create such
objects everywhere, too, or to delete collections of them.

Differs: Kubernetes has nothing of the kind, and answers such a request with a 405.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from apiserver.request import Answer, Receive, Request, Response, Target, new_audit_id, warning_headers
from apiserver.steps.auditing import audit
from apiserver.steps.authorization import authorize
from apiserver.steps.panics import panics_become_500
from apiserver.writing.decoding import JSON, media_type_of
from wherry.machinery.errors import BadRequest

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

# All others wait while the items of one request are looked at; at a pod there is more to look at.
MOST_ITEMS = {
    ("create", "bindings"): 500,
    ("create", "events"): 500,
    ("create", "pods"): 100,
    ("deletecollection", "pods"): 100,
}
# The annotation of an item in the audit log.
BATCH = "batch.audit.wherry.dev/id"
_DONE = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}'
_DELETED = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":200}'
_MADE = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{"resourceVersion":"%s"},"status":"Success",'
    b'"details":{"name":"%s","kind":"pods","uid":"%s"},"code":201}'
)
_LIST = b'{"kind":"List","apiVersion":"v1","metadata":{},"items":[%s]}'


class _Metadata(msgspec.Struct, rename="camel"):
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class _Item(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _List(msgspec.Struct, rename="camel"):
    items: list[msgspec.Raw]
    kind: str = "List"
    api_version: str = "v1"


_read_list = msgspec.json.Decoder(_List).decode
_read_item = msgspec.json.Decoder(_Item).decode


async def unpack_batch(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Pass the items of a batch on, each by itself; any other request passes as it is."""
    target = request.target
    is_core = target is not None and not target.namespace and not target.group and not _selects(request)
    most = MOST_ITEMS.get((request.verb, target.plural)) if target and is_core else None
    if target is None or most is None:
        return await proceed(server, request)

    async def authorized(server: Server, item: Request) -> Answer:
        return await authorize(server, item, proceed)

    async def audited(server: Server, item: Request) -> Answer:
        return await audit(server, item, authorized)

    sent = await _items_of(request, most)
    if sent is None:
        return await proceed(server, request)
    # What becomes of an item stands in a list that is JSON, whatever the client prefers.
    request = replace(request, headers={**request.headers, b"accept": JSON.encode()})
    items = [_alone(request, target, item) for item in sent]
    if server.audit is not None:
        for item in items:
            item.audit_id, item.annotations[BATCH] = new_audit_id(), request.audit_id
    answers = await asyncio.gather(*(panics_become_500(server, item, audited) for item in items))
    told = _deleted if request.verb != "create" else _made if target.plural == "pods" else _done
    statuses = b",".join(_refusal(answer) or told(answer) for answer in answers)
    return Response(200, _LIST % statuses, headers=warning_headers(request.warnings))


def _selects(request: Request) -> bool:
    """Whether the request says itself which objects it means."""
    return "labelSelector" in request.query or "fieldSelector" in request.query


async def _items_of(request: Request, most: int) -> list[bytes] | None:
    """What stands in the List; None for all else, to which Kubernetes' answer is given: a 405."""
    if media_type_of(request.header(b"content-type")) != JSON:
        return None
    try:
        sent = _read_list(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if (sent.kind, sent.api_version) != ("List", "v1"):
        return None
    if len(sent.items) > most:
        purpose = "create" if request.verb == "create" else "delete"
        raise BadRequest(f"a List of objects to {purpose} may have {most} items, this one has {len(sent.items)}")
    return [bytes(item) for item in sent.items]


def _alone(request: Request, batch: Target, item: bytes) -> Request:
    """The request by which one item would come alone."""
    try:
        metadata = _read_item(item).metadata
    except (msgspec.DecodeError, UnicodeDecodeError):
        metadata = _Metadata()  # whoever decodes it says what is wrong
    target = batch._replace(namespace=metadata.namespace)
    path = f"/api/v1/namespaces/{metadata.namespace}/{batch.plural}"
    if batch.plural == "bindings":
        target = target._replace(plural="pods", name=metadata.name, subresource="binding")
        path = f"/api/v1/namespaces/{metadata.namespace}/pods/{metadata.name}/binding"
    verb = request.verb
    if verb == "deletecollection":
        verb, target, path = "delete", target._replace(name=metadata.name), f"{path}/{metadata.name}"
    return replace(request, receive=_body(item), path=path, verb=verb, target=target, annotations={})


def _body(item: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": item}

    return receive


def _refusal(answer: Answer) -> bytes:
    return answer.body if isinstance(answer, Response) and answer.status >= 400 else b""


def _done(_: Answer) -> bytes:
    return _DONE


def _deleted(_: Answer) -> bytes:
    return _DELETED


def _made(answer: Answer) -> bytes:
    if not isinstance(answer, Response):
        return _DONE
    metadata = _read_item(answer.body).metadata
    return _MADE % (metadata.resource_version.encode(), metadata.name.encode(), metadata.uid.encode())
