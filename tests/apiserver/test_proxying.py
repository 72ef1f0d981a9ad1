"""pods/proxy, services/proxy, nodes/proxy over real sockets: what travels on, what does not, and who may."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from tests.apiserver.local_api import CORE
from tests.apiserver.served_api import Served, backend, have_ready_pod, have_service, own_address, served_api

PAGE = b"""<html><a href="/next?a=1&amp;b=2">x</a> a & b <IMG src='/i.png'><a href="rel">y</a><a href="http://other/z">z</a>"""


LEFT = web.AppKey("left", asyncio.Event)
ASKED = web.AppKey("asked", asyncio.Event)


async def echo(request: web.Request) -> web.Response:
    told = {"method": request.method, "path": request.raw_path, "body": (await request.read()).decode()}
    told["headers"] = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response(told, status=201 if request.method == "POST" else 200, headers={"X-From": "backend"})


async def page(request: web.Request) -> web.Response:
    packed = request.query.get("gzip")
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return web.Response(body=gzip.compress(PAGE) if packed else PAGE, content_type="text/html", headers=headers)


async def moved(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere/"})


async def words(request: web.Request) -> web.StreamResponse:
    """Says each line again as soon as it has heard it."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for line in request.content:
        await answer.write(b"heard " + line)
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b"x")
            await asyncio.sleep(0.01)
    finally:
        request.app[LEFT].set()


async def silent(request: web.Request) -> web.Response:
    """Never answers; tells when it was asked, and when nobody waits any more."""
    await request.read()
    request.app[ASKED].set()
    try:
        await asyncio.Event().wait()
    finally:
        request.app[LEFT].set()
    return web.Response()


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("echo.v1",))
    await socket.prepare(request)
    async for message in socket:
        await (socket.send_str if message.type == aiohttp.WSMsgType.TEXT else socket.send_bytes)(message.data)
    return socket


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A protocol of its own after an upgrade; without one, a refusal."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"Upgrade: shout" in head:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\n")
        while line := await reader.readline():
            writer.write(line.upper())
    else:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno")
        assert await reader.read() == b""
    writer.close()


class Shop(NamedTuple):
    """A pod `web`, its service `web`, and the server in front."""

    served: Served
    app: web.Application
    pod: str
    service: str

    def url(self, path: str) -> str:
        return self.served.url + path


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    app = web.Application()
    app[LEFT], app[ASKED] = asyncio.Event(), asyncio.Event()
    for path, answer in (("/page", page), ("/moved", moved), ("/words", words), ("/endless", endless), ("/talk", talk)):
        app.router.add_route("*", path, answer)
    app.router.add_route("*", "/silent", silent)
    app.router.add_route("*", "/{rest:.*}", echo)
    address = own_address()
    async with served_api(tmp_path) as served, backend(app, host=address) as port:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
        other = await asyncio.start_server(shout, address, 0)
        async with backend(app, host=address, tls=tls) as secure, other:
            shouting = other.sockets[0].getsockname()[1]
            await have_ready_pod(served.api, "web", address, {"name": "http", "containerPort": port})
            await have_service(served.api, "web", "web", address, http=port, https=secure, shout=shouting)
            yield Shop(served, app, f"{CORE}/pods/web:{port}/proxy", f"{CORE}/services/web:http/proxy")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_passes_with_its_path_query_and_body(shop: Shop, method: str):
    headers = {"Authorization": "Bearer secret", "X-Mine": "1", "Connection": "x-hop", "x-hop": "1"}
    url = URL(shop.url(f"{shop.pod}/a%2Fb//c/%25?q=1%202&q=3"), encoded=True)

    async with shop.served.session.request(method, url, data=b"hello", headers=headers) as answer:
        told = await answer.json()

    assert (answer.status, answer.headers["X-From"]) == (201 if method == "POST" else 200, "backend")
    assert (told["method"], told["path"], told["body"]) == (method, "/a/b//c/%25?q=1%202&q=3", "hello")
    assert told["headers"]["x-mine"] == "1"
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert not {"authorization", "x-hop"} & told["headers"].keys()


async def test_a_head_has_no_body_and_a_root_without_slash_is_redirected(shop: Shop):
    async with shop.served.session.head(shop.url(f"{shop.pod}/x")) as answer:
        assert (answer.status, await answer.read(), answer.headers["X-From"]) == (200, b"", "backend")
    async with shop.served.session.get(shop.url(f"{shop.pod}?a=b"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"{shop.pod}/?a=b")
    async with shop.served.session.post(shop.url(shop.pod)) as answer:
        assert (await answer.json())["path"] == "/"


@pytest.mark.parametrize("name", ["web:http", "web:80", "http:web:http", "https:web:https", "https:web:443"])
async def test_a_service_is_named_in_every_form_also_by_kubectl(shop: Shop, name: str):
    told = await shop.served.kubectl("get", "--raw", f"{CORE}/services/{name}/proxy/health")

    assert (told.status, '"path": "/health"' in told.out) == (0, True)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"{CORE}/services/web/proxy/", 503, 'no endpoints available for service "web"'),
        (f"{CORE}/services/web:99/proxy/", 503, 'no service port 99 found for service "web"'),
        (f"{CORE}/services/ftp:web:80/proxy/", 400, 'invalid service request "ftp:web:80"'),
        (f"{CORE}/services/none/proxy/", 404, 'services "none" not found'),
        (f"{CORE}/pods/none/proxy/", 404, 'pods "none" not found'),
        (f"{CORE}/pods/web:nope/proxy/", 400, "pod \"web\" has no port 'nope'"),
        ("/api/v1/nodes/n1/proxy/", 404, 'nodes "n1" not found'),
        ("/api/v1/nodes/mute/proxy/", 500, "Internal error occurred: node mute has no kubelet that can be reached"),
    ],
)
async def test_what_leads_nowhere_says_why(shop: Shop, path: str, status: int, message: str):
    await shop.served.api.made("/api/v1/nodes", {"metadata": {"name": "mute"}})

    answer = await shop.served.api.get(path)

    assert (answer.status, answer.json["message"]) == (status, message)


async def test_nobody_reaches_the_servers_own_machine_through_a_pod(shop: Shop):
    await have_ready_pod(shop.served.api, "sly", "127.0.0.1")
    await have_service(shop.served.api, "sly", "web", "10.9.9.9", http=22)

    answers = [await shop.served.api.get(f"{CORE}/{what}/proxy/") for what in ("pods/sly:22", "services/sly:http")]

    assert [answer.json["message"] for answer in answers] == [
        "address not allowed",
        'no endpoints available for service "sly:http"',
    ]


async def test_a_backend_that_is_not_there_is_a_503(shop: Shop):
    answer = await shop.served.api.get(f"{CORE}/pods/web:1/proxy/")

    why = f"error trying to reach service: dial tcp {own_address()}:1: connect: connection refused"
    assert answer.error == (503, "ServiceUnavailable", why)


async def test_links_and_redirects_lead_through_the_proxy(shop: Shop):
    links = PAGE.replace(b'"/next', f'"{shop.pod}/next'.encode()).replace(b"'/i.png'", f'"{shop.pod}/i.png"'.encode())

    for query in ("", "?gzip=1"):
        async with shop.served.session.get(shop.url(f"{shop.pod}/page{query}")) as answer:
            assert await answer.read() == links
    async with shop.served.session.get(shop.url(f"{shop.pod}/moved"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{shop.pod}/elsewhere/")


async def test_both_sides_stream_at_once(shop: Shop):
    heard = asyncio.Queue[bytes]()

    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        assert await heard.get() == b"heard one\n"
        yield b"two\n"

    async with shop.served.session.post(shop.url(f"{shop.service}/words"), data=lines()) as answer:
        heard.put_nowait(await answer.content.readline())
        assert await answer.content.readline() == b"heard two\n"


async def test_a_client_that_leaves_is_not_streamed_to(shop: Shop):
    answer = await shop.served.session.get(shop.url(f"{shop.pod}/endless"))
    await answer.content.readany()
    answer.close()

    await asyncio.wait_for(shop.app[LEFT].wait(), 5)


@pytest.mark.parametrize("body", [None, b"text"])
async def test_a_client_that_leaves_is_not_answered(shop: Shop, body: bytes | None):
    waiting = asyncio.ensure_future(shop.served.session.post(shop.url(f"{shop.pod}/silent"), data=body))
    await asyncio.wait_for(shop.app[ASKED].wait(), 5)

    waiting.cancel()

    await asyncio.wait_for(shop.app[LEFT].wait(), 5)


async def test_websockets_pass(shop: Shop):
    async with shop.served.session.ws_connect(shop.url(f"{shop.pod}/talk"), protocols=("echo.v1",)) as socket:
        await socket.send_str("text")
        await socket.send_bytes(b"bytes")

        assert (socket.protocol, (await socket.receive()).data, (await socket.receive()).data) == (
            "echo.v1",
            "text",
            b"bytes",
        )


@pytest.mark.parametrize(("protocol", "status", "rest"), [("shout", b"101", b"HI\n"), ("other", b"403", b"no")])
async def test_other_upgrades_pass_only_if_the_backend_agrees(shop: Shop, protocol: str, status: bytes, rest: bytes):
    port = int(shop.served.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=shop.served.keys.client_context())
    path = f"{CORE}/services/web:shout/proxy/"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n".encode())

    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"hi\n")

    assert (head.split()[1], await reader.readexactly(len(rest))) == (status, rest)
    if status != b"101":
        assert await reader.read() == b""
    writer.close()


async def test_whoever_may_not_is_refused(shop: Shop):
    refused = [
        await shop.served.api.request(method, f"{CORE}/pods/web/proxy/x", user="eve", groups=())
        for method in ("GET", "POST", "HEAD")
    ]

    assert [answer.json["message"].partition(" in API")[0] for answer in refused] == [
        f'pods "web" is forbidden: User "eve" cannot {verb} resource "pods/proxy"' for verb in ("get", "create", "get")
    ]


async def test_kubectl_proxy_leads_to_a_page(shop: Shop):
    told = await shop.served.kubectl("get", "--raw", f"{shop.service}/page")

    assert f"{shop.service}/next" in told.out


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"]
)
async def test_no_spelling_of_the_servers_own_machine_is_a_pods_address(shop: Shop, address: str):
    await have_ready_pod(shop.served.api, "sly", address)

    assert (await shop.served.api.get(f"{CORE}/pods/sly:22/proxy/")).json["message"] == "address not allowed"
