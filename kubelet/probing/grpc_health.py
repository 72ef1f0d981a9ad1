"""The gRPC health check: one call of `grpc.health.v1.Health/Check`, without TLS. Kubernetes: pkg/probe/grpc."""

from __future__ import annotations

from wherry.client.grpc.channel import Channel
from wherry.client.grpc.codes import Code, named
from wherry.client.grpc.stream import CallFailed, NoAnswer
from wherry.machinery.protobuf.wire import BYTES, delimited, tag

_PATH = "/grpc.health.v1.Health/Check"
# The one field of a HealthCheckRequest.
_SERVICE = tag(1, BYTES)
# Longer than anybody who limits the time waits.
_SECONDS = 86_400.0
# Whoever is probed must not fill the node's memory. Kubernetes: what gRPC receives unless told otherwise.
_LONGEST = 4 * 1024 * 1024

SERVING = "SERVING"
_STATES = {0: "UNKNOWN", 1: SERVING, 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class NoHealth(Exception):
    """The server answered, but not with a state of health."""


async def health_of(host: str, port: int, service: str, agent: str) -> str:
    """The state of a service, `SERVING` if it is well; raises OSError or NoHealth. The caller limits the time."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    channel = Channel(f"http://{address}", None, seconds=_SECONDS, agent=agent, longest=_LONGEST)
    name = service.encode()
    try:
        return _state_in(await channel.ask(_PATH, delimited(_SERVICE, name) if name else b""))
    except CallFailed as error:
        raise NoHealth(_refusal(error)) from None
    except NoAnswer as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise NoHealth(f"error: health rpc probe failed: {error}") from None
    finally:
        await channel.close()


def _refusal(error: CallFailed) -> str:
    if error.code == Code.UNIMPLEMENTED:
        what = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return f"error: {what}: {error.details}"
    return f"error: health rpc probe failed: rpc error: code = {named(error.code)} desc = {error.details}"


def _state_in(message: bytes) -> str:
    """The state that a HealthCheckResponse tells.

    >>> _state_in(b"\\x08\\x01"), _state_in(b"")
    ('SERVING', 'UNKNOWN')
    """
    if not message:
        return _STATES[0]
    if message[0] != 0x08 or len(message) < 2:
        raise NoHealth("error: health rpc probe failed: the answer tells no state of health")
    return _STATES.get(message[1], str(message[1]))
