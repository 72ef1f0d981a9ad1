"""What probes and lifecycle hooks do: a command, an HTTP request, a connection, a gRPC health check, a pause.

Kubernetes: pkg/probe and lifecycle handlers. TLS certificates are not checked, as Kubernetes does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import NamedTuple

import aiohttp
import orjson

from kubelet.runtime.base import Runtime, RuntimeFailure, RuntimeUnavailable
from wherry.api.core.pod import Container
from wherry.api.core.pod.container import Action, GrpcAction, HttpGetAction
from wherry.machinery.time import SECOND, go_duration_text

_SHOWN = 10 * 1024
_AGENT = "kube-probe/1.37"


class Target(NamedTuple):
    """Where an action happens."""

    runtime: Runtime
    container_id: str
    container: Container
    pod_ip: str


class Outcome(NamedTuple):
    """Whether it went well, and what to say if not."""

    is_success: bool
    message: str = ""


async def perform(action: Action, target: Target, timeout_seconds: float) -> Outcome:
    """Do it once. What goes wrong is an outcome, but for RuntimeUnavailable: an engine that is away says nothing."""
    if action.sleep is not None:
        # A pause as long as the grace period is no failure.
        await asyncio.sleep(min(action.sleep.seconds, timeout_seconds))
        return Outcome(True)
    if action.exec is not None:
        return await _command(action.exec.command, target, timeout_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            if action.http_get is not None:
                return await _http_get(action.http_get, target)
            if action.tcp_socket is not None:
                return await _connect(action.tcp_socket.host or target.pod_ip, action.tcp_socket.port, target)
            if action.grpc is not None:
                return await _grpc(action.grpc, target)
            return Outcome(True)
    except TimeoutError:
        return Outcome(False, _too_late(action, target, timeout_seconds))


async def perform_hook(action: Action, target: Target, timeout_seconds: float) -> Outcome:
    """Like `perform`, for a hook: nobody asks again, so an engine that is away is a failure too."""
    try:
        return await perform(action, target, timeout_seconds)
    except RuntimeUnavailable as error:
        return Outcome(False, str(error))


async def _command(command: tuple[str, ...], target: Target, timeout_seconds: float) -> Outcome:
    try:
        result = await target.runtime.run(target.container_id, command, timeout_seconds)
    except TimeoutError:
        line = orjson.dumps(" ".join(command)).decode()
        return Outcome(False, f"command timed out: {line} timed out after {_text(timeout_seconds)}")
    except RuntimeUnavailable:
        raise
    except RuntimeFailure as error:
        return Outcome(False, str(error))
    return Outcome(result.exit_code == 0, result.output.decode(errors="replace").rstrip("\n"))


def _too_late(action: Action, target: Target, timeout_seconds: float) -> str:
    """What Kubernetes says of each kind that did not answer in time."""
    if action.http_get is not None:
        url = _url(action.http_get, target)
        return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    if action.tcp_socket is not None:
        host = action.tcp_socket.host or target.pod_ip
        return f"dial tcp {host}:{_port(action.tcp_socket.port, target.container)}: i/o timeout"
    address = f"{target.pod_ip}:{action.grpc.port}" if action.grpc else ""
    within = _text(timeout_seconds)
    return f'timeout: failed to connect service "{address}" within {within}: context deadline exceeded'


def _text(seconds: float) -> str:
    return go_duration_text(int(seconds * SECOND))


def _url(action: HttpGetAction, target: Target) -> str:
    host, port = action.host or target.pod_ip, _port(action.port, target.container)
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return f"{action.scheme.lower()}://{host}:{port}{path}"


async def _http_get(action: HttpGetAction, target: Target) -> Outcome:
    headers = {"User-Agent": _AGENT, "Accept": "*/*"} | {header.name: header.value for header in action.http_headers}
    url = _url(action, target)
    try:
        connector = aiohttp.TCPConnector(ssl=False, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            await response.content.read(_SHOWN)
            if 200 <= response.status < 400:
                return Outcome(True)
            return Outcome(False, f"HTTP probe failed with statuscode: {response.status}")
    except aiohttp.ClientConnectorError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error.os_error)
        return Outcome(False, f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {why}')
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Outcome(False, f'Get "{url}": {error}')


async def _connect(host: str, port: int | str, target: Target) -> Outcome:
    number = _port(port, target.container)
    try:
        _, writer = await asyncio.open_connection(host, number)
    except OSError as error:
        return Outcome(False, f"dial tcp {host}:{number}: {error.strerror or error}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome(True)


async def _grpc(action: GrpcAction, target: Target) -> Outcome:
    from kubelet.probing.grpc_health import SERVING, NoHealth, health_of

    address = f"{target.pod_ip}:{action.port}"
    try:
        state = await health_of(target.pod_ip, action.port, action.service, _AGENT)
    except NoHealth as error:
        return Outcome(False, str(error))
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        return Outcome(False, f'error: failed to connect service at "{address}": dial tcp {address}: connect: {why}')
    return Outcome(True) if state == SERVING else Outcome(False, f'service unhealthy (responded with "{state}")')


def _port(port: int | str, container: Container) -> int:
    if isinstance(port, int) or port.isdigit():
        return int(port)
    return next((known.container_port for known in container.ports if known.name == port), 0)
