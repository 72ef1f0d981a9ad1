"""The kubelet's HTTPS port: logs, exec and attach for the API server, and what runs here for whoever may know.

The API server and administrators, by their certificates, are served everything; others show a certificate of the
cluster's CA or a token, and are served what the cluster lets them (`serving/permissions.py`): Prometheus' account needs
`get` on `nodes/metrics`. Kubernetes: pkg/kubelet/server. Differs: WebSocket only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import structlog
from aiohttp import web

from kubelet.charge import Charge
from kubelet.host import Settings
from kubelet.runtime.base import ExecRequest, Missing, Runtime, RuntimeFailure, Session
from kubelet.runtime.counted import Operations
from kubelet.seen import CONTAINER_STATUSES
from kubelet.serving import about
from kubelet.serving.logs import flag, limited, log_container_id, log_request, number
from kubelet.serving.permissions import refusal, wanted
from kubelet.serving.port_forward import SpdyForward, open_door, ports_of, serve_channels
from kubelet.serving.stats import Stats
from kubelet.serving.streams import serve
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.serving.access import Access, User
from wherry.client.serving.tls import Tls, certificate_of, context_of
from wherry.machinery import channels
from wherry.machinery.errors import ApiError, BadRequest, InternalError, NotFound

log = structlog.get_logger()

API_SERVER_NAME = "kube-apiserver-kubelet-client"
ADMIN_GROUP = "system:masters"


Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Charges(Protocol):
    """The pods of this node."""

    runtime: Runtime
    operations: Operations
    settings: Settings

    @property
    def node_name(self) -> str:
        """Whose they are."""
        ...

    def charge(self, namespace: str, name: str) -> Charge | None:
        """The pod of that name."""
        ...

    def charges(self) -> list[Charge]:
        """All of them."""
        ...


def may_all(user: User) -> bool:
    """Whether somebody need not be asked about: the API server, or an administrator."""
    return user.name == API_SERVER_NAME or ADMIN_GROUP in user.groups


class Server:
    """One per kubelet; `client` is the one whose requests are told. Who is served what is `access`' to say; without it
    (tests) everyone is served all.
    """

    def __init__(self, charges: Charges, access: Access | None = None, client: Client | None = None) -> None:
        self._charges, self._access, self._client = charges, access, client
        self._stats = Stats(charges.runtime, charges.charges)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, address: str, port: int, tls: Tls | None) -> None:
        """Listen; port 0 means any free one."""
        app = web.Application(middlewares=[_errors, self._guarded])
        for path, answer in self._readings().items():
            app.router.add_get(path, answer)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/attach/{namespace}/{pod}/{container}", self._attach)
        app.router.add_get("/portForward/{namespace}/{pod}", self._port_forward)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port, ssl_context=context_of(tls) if tls else None)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _readings(self) -> dict[str, Callable[[web.Request], Awaitable[web.Response]]]:
        """What can be read here, by its path."""
        reads: dict[str, Callable[[], Awaitable[Json | str]]] = {
            "/configz": self._configz,
            "/pods": self._pods,
            "/pods/": self._pods,
            "/runningpods/": self._running_pods,
            "/stats/summary": self._summary,
            "/metrics": partial(self._metrics, "of_kubelet"),
            "/metrics/cadvisor": partial(self._metrics, "of_containers"),
            "/metrics/probes": partial(self._metrics, "of_probes"),
            "/metrics/resource": partial(self._metrics, "of_resources"),
            **dict.fromkeys(("/healthz", "/healthz/ping", "/healthz/log", "/healthz/syncloop"), self._healthz),
        }
        return {path: _answering(read) for path, read in reads.items()}

    async def _healthz(self) -> str:
        return "ok"

    async def _configz(self) -> Json:
        return {"kubeletconfig": about.configuration(self._charges.settings, self.port)}

    async def _pods(self) -> Json:
        return about.pods(self._charges.charges())

    async def _running_pods(self) -> Json:
        return about.running_pods(await self._charges.runtime.inventory())

    async def _summary(self) -> Json:
        return await self._stats.summary(self._charges.node_name, self._charges.settings.data_dir)

    async def _metrics(self, which: str) -> str:
        from kubelet.serving.metrics import Metrics  # its library is loaded when somebody asks for the first time

        text: str = await getattr(Metrics(self._charges, self._stats, self._client), which)()
        return text

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """401 for those whom nobody knows, 403 for those who may not."""
        if self._access is None:
            return await handler(request)
        user = await self._access.user(certificate_of(request), request.headers.get("Authorization", ""))
        if user is None:
            return web.Response(status=401, text="Unauthorized")
        if not may_all(user):
            asked = wanted(request.method, request.path, self._charges.node_name)
            if not any([await self._access.may(user, {"resourceAttributes": each}) for each in asked]):
                return web.Response(status=403, text=refusal(user.name, asked))
        return await handler(request)

    def _find_pod(self, request: web.Request) -> Charge:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        charge = self._charges.charge(namespace, name)
        if charge is None:
            raise NotFound(f'pod "{name}" not found')
        return charge

    def _find(self, request: web.Request) -> tuple[Charge, str]:
        charge, container = self._find_pod(request), request.match_info["container"]
        name = charge.pod.metadata.name
        if charge.container(container) is None:
            raise BadRequest(f"container {container} is not valid for pod {name}")
        return charge, container

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        charge, container = self._find(request)
        query = request.query
        wanted, limit = log_request(query, clock.now()), number(query, "limitBytes")
        is_previous = flag(query, "previous")
        container_id = log_container_id(
            charge.pod.metadata.name, charge.status.offered, container, previous=is_previous
        )
        pieces = limited(self._charges.runtime.logs(container_id, wanted), limit)
        try:
            first = await anext(pieces, b"")
        except Missing:
            raise BadRequest(f"unable to retrieve container logs for docker://{container_id}: it was removed") from None
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(first)
        try:
            async for piece in pieces:
                await response.write(piece)
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        command = tuple(request.query.getall("command", []))
        if not command:
            raise BadRequest("you must specify at least one command for the container")
        wanted = _wanted(request.query, command)
        return await self._stream(request, wanted, self._charges.runtime.exec, is_exec=True)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        wanted = _wanted(request.query, ())
        return await self._stream(request, wanted, self._charges.runtime.attach, is_exec=False)

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        charge = self._find_pod(request)
        known = (channels.SPDY_TUNNEL, channels.V4)
        socket, protocol = _web_socket(request, channels.choose_port_forward_protocol, known)
        try:
            ports = ports_of(request.query.getall("ports", []))
        except ValueError as error:
            raise BadRequest(str(error)) from None
        if protocol != channels.SPDY_TUNNEL and not ports:
            raise BadRequest('query parameter "ports" is required')
        door = await open_door(self._charges.runtime, charge)
        await socket.prepare(request)
        if protocol == channels.SPDY_TUNNEL:
            await SpdyForward(socket, door).serve()
        else:
            await serve_channels(socket, door, ports)
        return socket

    async def _stream(
        self,
        request: web.Request,
        wanted: ExecRequest,
        open_session: Callable[[str, ExecRequest], Awaitable[Session]],
        *,
        is_exec: bool,
    ) -> web.StreamResponse:
        charge, container = self._find(request)
        container_id = _running_container(charge, container)
        socket, _ = _web_socket(request, channels.choose_exec_protocol, channels.EXEC_PROTOCOLS)
        session = await open_session(container_id, wanted)
        await socket.prepare(request)
        await serve(socket, session, wanted, is_exec=is_exec)
        return socket


def _web_socket(
    request: web.Request, choose: Callable[[list[str]], str | None], known: tuple[str, ...]
) -> tuple[web.WebSocketResponse, str]:
    """A WebSocket in the protocol that both sides speak; BadRequest if there is none, or it is no WebSocket."""
    offered = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()]
    protocol = choose(offered)
    if protocol is None:
        raise BadRequest(f"none of the protocols {offered} is spoken here: allowed are {', '.join(known)}")
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), max_msg_size=0)
    if not socket.can_prepare(request):
        raise BadRequest("Upgrade request required")
    return socket, protocol


def _wanted(query: Mapping[str, str], command: tuple[str, ...]) -> ExecRequest:
    """The kubelet's own names (input, output, error) and those of the API both serve."""

    def either(one: str, other: str) -> bool:
        return flag(query, one) or flag(query, other)

    tty = flag(query, "tty")
    stderr = either("error", "stderr") and not tty
    return ExecRequest(command, either("input", "stdin"), either("output", "stdout"), stderr, tty)


def _running_container(charge: Charge, container: str) -> str:
    status = charge.status.offered
    known = [each for kind in CONTAINER_STATUSES for each in status.get(kind) or ()]
    found: dict[str, Any] = next((entry for entry in known if entry["name"] == container), {})
    if "running" not in (found.get("state") or {}):
        raise BadRequest(f"container not found ({container!r})".replace("'", '"'))
    return str(found["containerID"]).partition("://")[2]


def _answering(read: Callable[[], Awaitable[Json | str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        found = await read()
        return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

    return answer


@web.middleware
async def _errors(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> web.StreamResponse:
    """Errors become a Status, as long as nothing was sent."""
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except ApiError as error:
        return web.json_response(error.to_status(), status=error.code)
    except RuntimeFailure as error:
        log.warning("request failed", path=request.path, error=str(error))
        return web.json_response(InternalError(f"Internal error occurred: {error}").to_status(), status=500)
