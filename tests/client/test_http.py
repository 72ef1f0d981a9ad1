"""The client against a real server over TLS: what goes over the wire, and what comes back as errors."""

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from make import a_pod

from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client.http import Client, WatchEvent
from wherry.client.kubeconfig import Connection
from wherry.client.serving.counting import exposition
from wherry.client.serving.requests import of_requests
from wherry.client.transport import HttpTransport
from wherry.machinery import errors

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """Answers as the test says and notes what it was asked."""

    url: str = ""
    ca: bytes = b""
    key: bytes = b""
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path, dict(request.query), json.loads(body) if body else None))
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request) if callable(answer) else web.json_response(answer)

    def client(self, **options: Any) -> Client:
        return Client(Connection(self.url, **{"ca_data": self.ca, **options}), user_agent="wherry-test")


def self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    return certificate.public_bytes(encoding), private


@pytest.fixture(scope="module")
def certificate() -> tuple[bytes, bytes]:
    return self_signed()


@pytest.fixture
async def server(certificate: tuple[bytes, bytes], tmp_path: Path) -> AsyncIterator[Server]:
    (tmp_path / "pem").write_bytes(b"\n".join(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certificate[0].decode())
    context.load_cert_chain(tmp_path / "pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    server, app = Server(ca=certificate[0], key=certificate[1]), web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


def wire(pod: Pod) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps(pod.to_wire()))
    return {"apiVersion": "v1", "kind": "Pod", **written}


def failing(error: errors.ApiError, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(error.to_status(), status=error.code, headers=headers)

    return answer


def streaming(*events: dict[str, Any], cut: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            data = json.dumps(event).encode() + b"\n"
            for at in range(0, len(data), 70_000):
                await response.write(data[at : at + 70_000])
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


async def test_an_object_is_read(server: Server):
    pod = a_pod("web", namespace="shop")
    server.answers = [wire(pod)]
    async with server.client(token="sesame") as client:
        assert await client.get(Pod, "web", "shop") == pod

    assert server.asked == [("GET", "/api/v1/namespaces/shop/pods/web", {}, None)]
    assert (server.headers[0]["Authorization"], server.headers[0]["User-Agent"]) == ("Bearer sesame", "wherry-test")


async def test_a_client_certificate_is_shown(server: Server):
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.get_extra_info("peercert")["subject"])
        return web.json_response({})

    server.answers = [answer]
    async with server.client(cert_data=server.ca, key_data=server.key) as client:
        await client.request("GET", "/version")

    assert seen == [((("commonName", "test"),),)]


async def test_a_list_is_read_in_pages(server: Server):
    a, b = a_pod("a"), a_pod("b")
    server.answers = [
        {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [wire(a)]},
        {"metadata": {"resourceVersion": "7"}, "items": [wire(b)]},
    ]
    async with server.client() as client:
        assert await client.list(Pod, labels="app=web") == ([a, b], "7")

    queries = [query for _, _, query, _ in server.asked]
    assert queries == [
        {"limit": "500", "labelSelector": "app=web"},
        {"limit": "500", "labelSelector": "app=web", "continue": "more"},
    ]


async def test_writes_go_where_they_belong(server: Server):
    pod = wire(a_pod("web", namespace="shop"))
    server.answers = [pod]
    async with server.client() as client:
        await client.create(pod, dry_run=True)
        await client.update(pod, subresource="status")
        await client.patch(Node, "n1", "", {"spec": {}}, type="apply", field_manager="me")
        await client.delete(Pod, "web", "shop", uid="1", grace_seconds=0)

    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    assert server.asked == [
        ("POST", "/api/v1/namespaces/shop/pods", {"dryRun": "All"}, pod),
        ("PUT", "/api/v1/namespaces/shop/pods/web/status", {}, pod),
        ("PATCH", "/api/v1/nodes/n1", {"fieldManager": "me", "force": "true"}, {"spec": {}}),
        (
            "DELETE",
            "/api/v1/namespaces/shop/pods/web",
            {},
            {**options, "preconditions": {"uid": "1"}, "gracePeriodSeconds": 0},
        ),
    ]
    assert server.headers[2]["Content-Type"] == "application/apply-patch+yaml"


async def test_a_kind_that_is_not_ours_is_found_by_discovery(server: Server):
    widget = {"apiVersion": "shop.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}}
    resources = [{"name": "widgets", "kind": "Widget", "namespaced": True}]
    server.answers = [{"resources": resources}, widget]
    async with server.client() as client:
        await client.create(widget)
        await client.create(widget)

    assert [path for _, path, _, _ in server.asked] == [
        "/apis/shop.io/v1",
        "/apis/shop.io/v1/namespaces/shop/widgets",
        "/apis/shop.io/v1/namespaces/shop/widgets",
    ]


async def test_an_error_keeps_its_class_message_and_details(server: Server):
    server.answers = [failing(errors.not_found("pods", "web"))]
    async with server.client() as client:
        with pytest.raises(errors.NotFound, match='pods "web" not found') as raised:
            await client.get(Pod, "web", "shop")

    assert raised.value.details == {"name": "web", "kind": "pods"}


async def test_retry_after_is_heard(server: Server):
    server.answers = [failing(errors.TooManyRequests("too many"), **{"Retry-After": "3"})]
    async with server.client() as client:
        with pytest.raises(errors.TooManyRequests) as raised:
            await client.request("GET", "/api")

    assert raised.value.retry_after_seconds == 3


async def test_an_answer_that_is_no_status_is_an_error_all_the_same(server: Server):
    async def bad_gateway(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="<html>no backend</html>")

    server.answers = [bad_gateway]
    async with server.client() as client:
        with pytest.raises(errors.Unavailable, match="no backend"):
            await client.request("GET", "/api")


async def test_a_watch_gives_views_and_bookmarks_until_it_ends(server: Server):
    pod, large = a_pod("web"), a_pod("large", annotations={"note": "x" * 300_000})
    bookmark = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}
    server.answers = [
        streaming(
            {"type": "ADDED", "object": wire(pod)},
            {"type": "DELETED", "object": wire(large)},
            {"type": "BOOKMARK", "object": bookmark},
        )
    ]
    async with server.client() as client:
        events = [event async for event in client.watch(Pod, "shop", since="5", fields="spec.nodeName=n1")]

    assert events == [
        WatchEvent("ADDED", pod, "1"),
        WatchEvent("DELETED", large, "1"),
        WatchEvent("BOOKMARK", None, "9"),
    ]
    query = server.asked[0][2]
    assert 300 <= int(query.pop("timeoutSeconds")) <= 600
    assert query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "fieldSelector": "spec.nodeName=n1",
    }


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_revision_that_is_too_old_is_expired(server: Server, in_stream: bool):
    expired = errors.Expired("too old resource version: 5 (9)")
    server.answers = [
        streaming({"type": "ERROR", "object": expired.to_status()}) if in_stream else failing(expired),
    ]
    async with server.client() as client:
        with pytest.raises(errors.Expired, match="too old resource version"):
            [event async for event in client.watch(Pod, since="5")]


async def test_a_stream_that_breaks_is_unavailable(server: Server):
    server.answers = [streaming({"type": "ADDED", "object": wire(a_pod())}, cut=True)]
    async with server.client() as client:
        with pytest.raises(errors.Unavailable):
            [event async for event in client.watch(Pod, since="5")]


async def test_open_watches_take_no_place_from_other_requests(server: Server):
    opened = asyncio.Semaphore(0)

    async def endless(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"ok": True})
        response = web.StreamResponse()
        await response.prepare(request)
        opened.release()
        await asyncio.Event().wait()
        return response

    server.answers = [endless]
    async with server.client() as client:
        watches = [asyncio.create_task(anext(client.watch(Pod, since="1"))) for _ in range(150)]  # type: ignore[arg-type]
        for _ in watches:
            await opened.acquire()
        assert await client.request("GET", "/api") == {"ok": True}
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


async def test_nobody_listening_is_unavailable(unused_tcp_port: int):
    async with Client(Connection(f"http://127.0.0.1:{unused_tcp_port}"), user_agent="test") as client:
        with pytest.raises(errors.Unavailable, match=rf"GET http://127.0.0.1:{unused_tcp_port}/api"):
            await client.request("GET", "/api")


async def test_a_server_of_another_authority_is_refused(server: Server):
    server.answers = [{}]
    async with server.client(ca_data=self_signed()[0]) as client:
        with pytest.raises(errors.Unavailable, match="certificate"):
            await client.request("GET", "/api")
    async with server.client(ca_data=None, insecure=True) as client:
        assert await client.request("GET", "/api") == {}


async def test_requests_are_counted_by_how_they_were_answered(server: Server):
    server.answers = [{"metadata": {}}, failing(errors.NotFound("gone"))]

    async with server.client() as client:
        await client.request("GET", "/a")
        with pytest.raises(errors.NotFound):
            await client.request("DELETE", "/a")
        told = exposition(of_requests(client))

    host = server.url.removeprefix("https://")
    assert f'rest_client_requests_total{{code="200",host="{host}",method="GET"}} 1.0' in told
    assert f'rest_client_requests_total{{code="404",host="{host}",method="DELETE"}} 1.0' in told


def test_a_password_in_the_servers_url_is_not_told_with_the_counts():
    client = Client(Connection("https://user:secret@api.example:6443"), user_agent="test")
    client.answered["GET", "200"] += 1

    [total] = of_requests(client)

    assert [sample.labels["host"] for sample in total.samples] == ["api.example:6443"]


async def test_a_watch_that_breaks_midway_counts_once():
    async def half_a_stream(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(half_a_stream, "127.0.0.1", 0) as server:
        transport = HttpTransport(Connection(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        with pytest.raises(errors.Unavailable):
            assert [line async for line in transport.stream("GET", "/a", {}, {}, None)] == []
        await transport.close()

    assert transport.answered == {("GET", "200"): 1}


async def test_a_password_in_the_servers_url_is_in_no_error():
    async with Client(Connection("http://user:secret@127.0.0.1:1"), user_agent="test") as client:
        with pytest.raises(errors.Unavailable) as error:
            await client.request("GET", "/a")

    assert "secret" not in error.value.message
    assert error.value.message.startswith("GET http://127.0.0.1:1/a: ")


async def test_a_request_without_an_answer_counts_as_an_error():
    async with Client(Connection("http://127.0.0.1:1"), user_agent="test") as client:
        with pytest.raises(errors.Unavailable):
            await client.request("GET", "/a")

        assert client.answered == {("GET", "<error>"): 1}
