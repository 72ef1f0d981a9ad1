"""`pods/log`, `pods/exec`, `pods/attach`, `pods/portforward`: asked of the node's kubelet and passed on.

All but logs travel as WebSocket on both legs, message by message; from kubectl before 1.31 as SPDY (spdy_streams.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from apiserver import resources
from apiserver.request import Answer, Receive, Request, Response, Scope, Send, Stream, Upgrade
from apiserver.subresources.base import subresource
from apiserver.subresources.spdy_streams import Join, joined_exec, joined_port_forward
from wherry.api.core.pod import Pod
from wherry.machinery.errors import BadRequest, Invalid, invalid_object
from wherry.machinery.field_errors import FieldError, forbidden, not_supported
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

_LOG_PARAMETERS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_LOG_STREAMS = ("All", "Stderr", "Stdout")


@subresource("pods/log", verbs=("get",))
async def log(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET: what a container has written."""
    target = resources.target_of(request)
    pod = Pod.read((await server.rest(cls).get(target.namespace, target.name)).item)
    _check_log_options(request, target.name)
    container = container_of(pod, request.first("container"))
    if not pod.spec.node_name:
        return Response(204, b"", b"text/plain")
    query = {name: request.first(name) for name in _LOG_PARAMETERS if name in request.query}
    kubelet = await server.kubelets.on(pod.spec.node_name)
    path = f"/containerLogs/{target.namespace}/{target.name}/{container}?{urlencode(query)}"
    lines = await kubelet.stream(path)
    return Stream(lines, b"text/plain")


def _check_log_options(request: Request, name: str) -> None:
    errors: list[FieldError] = []
    if "sinceSeconds" in request.query and "sinceTime" in request.query:
        errors.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    for field in ("tailLines", "sinceSeconds", "limitBytes"):
        text = request.first(field)
        if text and (not text.lstrip("-").isdigit() or len(text) > 18):
            raise BadRequest(f"{field}: expected an integer, got {text[:64]!r}")
        least = 0 if field == "tailLines" else 1
        if text and int(text) < least:
            detail = f"Invalid value: {text}: must be greater than " + ("or equal to 0" if not least else "0")
            errors.append(FieldError(field, "FieldValueInvalid", detail))
    stream = request.first("stream")
    if stream and stream not in _LOG_STREAMS:
        errors.append(not_supported("stream", stream, _LOG_STREAMS))
    if stream and stream != "All" and request.first("tailLines"):
        errors.append(forbidden("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    if errors:
        raise invalid_object("PodLogOptions", name, errors)


def container_of(pod: Pod, wanted: str) -> str:
    """The container that is meant: the one named, or the only one but for those of the beginning and of debuggers."""
    spec = pod.spec
    names = [each.name for each in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)]
    name = pod.metadata.name
    if wanted:
        if wanted not in names:
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    default = pod.metadata.annotations.get("kubectl.kubernetes.io/default-container", "")
    if default in names:
        return default
    if len(spec.containers) == 1:
        return spec.containers[0].name
    inits = " ".join(each.name for each in spec.init_containers)
    choices = " ".join(each.name for each in spec.containers)
    text = f"a container name must be specified for pod {name}, choose one of: [{choices}]"
    raise BadRequest(text + (f" or one of the init containers: [{inits}]" if inits else ""))


@subresource("pods/exec", verbs=("create", "get"), kind=("", "v1", "PodExecOptions"), methods=("GET", "POST"))
async def exec_(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Run a command in a container, over a WebSocket."""
    if not request.first("command"):
        raise invalid_object("PodExecOptions", "", [FieldError("command", "FieldValueRequired", "Required value")])
    return await _tunnel(server, request, cls, "exec")


@subresource("pods/attach", verbs=("create", "get"), kind=("", "v1", "PodAttachOptions"), methods=("GET", "POST"))
async def attach(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Join a container's own streams, over a WebSocket."""
    return await _tunnel(server, request, cls, "attach")


@subresource(
    "pods/portforward", verbs=("create", "get"), kind=("", "v1", "PodPortForwardOptions"), methods=("GET", "POST")
)
async def port_forward(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """Connections of the client's to ports of a pod, over a WebSocket."""
    target = resources.target_of(request)
    pod = Pod.read((await server.rest(cls).get(target.namespace, target.name)).item)
    _check_joinable(request, pod)
    query = [("ports", ports) for ports in request.query.get("ports", [])]
    path = f"/portForward/{target.namespace}/{target.name}?{urlencode(query)}"
    return await _joined(server, request, pod, path, joined_port_forward)


async def _tunnel(server: Server, request: Request, cls: type[Resource], verb: str) -> Answer:
    target = resources.target_of(request)
    pod = Pod.read((await server.rest(cls).get(target.namespace, target.name)).item)
    container = container_of(pod, request.first("container"))
    _check_joinable(request, pod)
    if not any(request.flag(name) for name in ("stdin", "stdout", "stderr")):
        raise Invalid("you must specify at least 1 of stdin, stdout, stderr", {})
    query = [("command", word) for word in request.query.get("command", [])] if verb == "exec" else []
    for ours, theirs in (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")):
        if request.flag(ours):
            query.append((theirs, "1"))
    path = f"/{verb}/{target.namespace}/{target.name}/{container}?{urlencode(query)}"
    return await _joined(server, request, pod, path, joined_exec)


def _check_joinable(request: Request, pod: Pod) -> None:
    if not pod.spec.node_name:
        raise BadRequest(f"pod {pod.metadata.name} does not have a host assigned")
    if request.scope["type"] != "websocket" and not _is_spdy(request):
        raise BadRequest("Upgrade request required")


def _is_spdy(request: Request) -> bool:
    return request.header(b"upgrade").lower() == "spdy/3.1"


async def _joined(server: Server, request: Request, pod: Pod, path: str, joined_spdy: Join) -> Answer:
    """The client's connection joined to the kubelet's."""
    kubelet = await server.kubelets.on(pod.spec.node_name)
    if _is_spdy(request):
        return await joined_spdy(kubelet, path, request)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await kubelet.tunnel(path, scope, receive, send)

    return Upgrade(serve)
