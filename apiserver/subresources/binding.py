"""`pods/binding`, and `bindings`: the scheduler's decision, taken once. Kubernetes: BindingREST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver import resources
from apiserver.matching.attributes import Facet, Names
from apiserver.reading.answering import told
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from apiserver.writing.rest import Write
from wherry.api.core.binding import Binding
from wherry.api.core.pod import Pod
from wherry.machinery import names
from wherry.machinery.errors import conflict, invalid_object
from wherry.machinery.field_errors import invalid, required
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text
from wherry.machinery.validation import check_name

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


@subresource("pods/binding", verbs=("create",), kind=("", "v1", "Binding"))
async def binding(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """POST: assign a pod to a node, if it has none yet."""
    write = resources.write_of(request, cls, "UPDATE")
    await _bind(server, await resources.read_draft(request, Binding), write)
    return told(request, _SUCCESS, 201)


async def bind_by_body(server: Server, request: Request) -> Answer:
    """POST to `bindings`, where the body names the pod."""
    write = resources.write_of(request, Pod, "UPDATE")
    draft = await resources.read_draft(request, Binding)
    write.name, write.subresource = draft["metadata"].get("name", ""), "binding"
    await _bind(server, draft, write)
    return told(request, _SUCCESS, 201)


async def _bind(server: Server, draft: Draft, write: Write) -> None:
    write.author = None  # Kubernetes: nobody owns the place that a pod was given
    target = draft.get("target") or {}
    errors = []
    if target.get("kind", "Node") not in ("", "Node"):
        errors.append(invalid("target.kind", target["kind"], "must be empty or 'Node'"))
    if not target.get("name"):
        errors.append(required("target.name"))
    else:
        errors += check_name("target.name", target["name"], names.dns1123_subdomain)
    if errors:
        raise invalid_object("Binding", write.name, errors)
    annotations = draft["metadata"].get("annotations") or {}
    write.is_judged = not annotations
    uid = draft["metadata"].get("uid", "")
    now = time_text(server.now())

    def bound(pod: Draft) -> Draft:
        _check_bindable(pod, write.name, uid)
        pod["spec"]["nodeName"] = target["name"]
        if annotations:
            pod["metadata"]["annotations"] = {**pod["metadata"].get("annotations", {}), **annotations}
        status = pod.setdefault("status", {})
        others = [each for each in status.get("conditions", []) if each.get("type") != "PodScheduled"]
        status.pop("nominatedNodeName", None)  # it has been: what was promised is kept
        status["conditions"] = [*others, {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}]
        return pod

    write.facet = Facet("binding", "CREATE", Names("", "v1", "Binding"), lambda _: draft, _leave)
    pod = {"namespace": write.namespace, "name": write.name, "uid": uid}
    async with server.grants.exclusive(pod, annotations):
        await server.rest(Pod).update(bound, write)


def _leave(pod: Draft, binding: Draft) -> None:
    """Whatever a webhook makes of a binding, it is the scheduler's decision that counts."""


def _check_bindable(pod: Draft, name: str, uid: str) -> None:
    metadata, node = pod["metadata"], pod["spec"].get("nodeName")
    if uid and metadata["uid"] != uid:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise conflict("pods/binding", name, why)
    if "deletionTimestamp" in metadata:
        raise conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if node:
        raise conflict("pods/binding", name, f'pod {name} is already assigned to node "{node}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
