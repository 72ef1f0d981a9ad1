"""gRPC probes ask a real health service how it does."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from kubelet.actions import Outcome, Target, perform
from kubelet.probing.grpc_health import NoHealth, health_of
from kubelet.runtime.fake import FakeRuntime
from wherry.api.core.pod import Container
from wherry.api.core.pod.container import Action, GrpcAction

grpc = pytest.importorskip("grpc")

# As `HealthCheckResponse` has them: nothing is UNKNOWN.
ANSWERS = {b"": b"\x08\x01", b"\n\x04down": b"\x08\x02", b"\n\x03odd": b"", b"\n\x04slow": b"\x08\x01"}


def check(request: bytes, context: "grpc.ServicerContext") -> bytes:
    if request.endswith(b"slow"):
        time.sleep(0.2)
    if request not in ANSWERS:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return ANSWERS[request]


@contextlib.contextmanager
def health_service(name: str = "grpc.health.v1.Health") -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    method = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Check": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


async def probe(port: int, service: str = "", seconds: float = 2.0) -> Outcome:
    target = Target(FakeRuntime(lambda: datetime.now(UTC)), "c", Container(name="c"), "127.0.0.1")
    return await perform(Action(grpc=GrpcAction(port=port, service=service)), target, seconds)


async def test_the_health_service_is_asked_about_the_service():
    with health_service() as port:
        outcomes = [await probe(port, service) for service in ("", "down", "odd")]
        missing = await probe(port, "who-is-this" * 20)
        late = await probe(port, "slow", 0.05)

    assert outcomes == [
        Outcome(True),
        Outcome(False, 'service unhealthy (responded with "NOT_SERVING")'),
        Outcome(False, 'service unhealthy (responded with "UNKNOWN")'),
    ]
    assert missing == Outcome(
        False, "error: health rpc probe failed: rpc error: code = NotFound desc = no such service"
    )
    assert late.message.startswith("timeout: failed to connect service")


async def test_a_port_that_speaks_grpc_without_a_health_service_is_not_well():
    with health_service("grpc.other.Service") as port:
        outcome = await probe(port)

    why = "this server does not implement the grpc health protocol (grpc.health.v1.Health): Method not found!"
    assert outcome == Outcome(False, f"error: {why}")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x04\0\0\0\0\0" * 200])
async def test_what_is_no_grpc_is_not_well(said: bytes):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(9)
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(NoHealth):
            await health_of("127.0.0.1", server.sockets[0].getsockname()[1], "", "test")


async def test_a_closed_port_is_not_well():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()

    outcome = await probe(port)

    at = f"127.0.0.1:{port}"
    why = f'error: failed to connect service at "{at}": dial tcp {at}: connect: connection refused'
    assert outcome == Outcome(False, why)
