"""Admission of connections: exec, attach, port-forward and proxies, which change nothing and may do everything.

Webhooks and policies with the operation CONNECT see the options of the connection. Kubernetes: ConnectResource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver.matching.attributes import Facet, Names
from apiserver.request import Request
from apiserver.writing.rest import Write
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server
    from apiserver.subresources import Subresource

CONNECTIONS = ("attach", "exec", "portforward", "proxy")
_FLAGS = ("stdin", "stdout", "stderr", "tty")


async def admit_connection(server: Server, request: Request, cls: type[Resource], subresource: Subresource) -> None:
    """Ask whoever cares; raises what refuses the connection."""
    target = request.target
    if target is None:
        return
    kind = subresource.response_kind(cls)
    options = _options(request, subresource.name)
    options |= {"kind": kind.kind, "apiVersion": f"{kind.group}/{kind.version}" if kind.group else kind.version}
    facet = Facet(subresource.name, "CONNECT", Names(*kind), lambda _: options, lambda _, __: None)
    write = Write(cls, "CONNECT", target.namespace, target.name, request.user, subresource.name)
    write.warnings, write.annotations, write.facet = request.warnings, request.annotations, facet
    await server.admission.mutate(options, None, write)
    await server.admission.validate(options, None, write)


def _options(request: Request, subresource: str) -> dict[str, Any]:
    target = request.target
    if subresource == "proxy":
        path = target.subresource.partition("/")[2] if target else ""
        return {"path": f"/{path}"} if path else {}
    if subresource == "portforward":
        return {"ports": [int(port) for port in request.query.get("ports", []) if port.isdigit()]}
    options: dict[str, Any] = {name: True for name in _FLAGS if request.flag(name)}
    if request.first("container"):
        options["container"] = request.first("container")
    if request.query.get("command"):
        options["command"] = request.query["command"]
    return options
