"""A whole API server inside the test: the real app over a memory store, spoken to through ASGI without a socket.

    async with running_api() as api:
        made = await api.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        assert made.status == 201

Callers are told apart as in life, by client certificate (`user=`, `groups=`) or bearer token.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver.app import App
from apiserver.audit.record import Audit
from apiserver.server import Server, Settings
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Store

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
MERGE, STRATEGIC, JSON_PATCH = (
    f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch")
)
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def cells_of(row: dict[str, Any]) -> list[Any]:
    """What a row shows of an object that was just made; on a busy machine that was some seconds ago."""
    return ["0s" if re.fullmatch(r"\ds", str(cell)) else cell for cell in row["cells"]]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every header of a name."""
        return [value for key, value in self.headers if key == name]

    @property
    def error(self) -> tuple[int, str, str]:
        """Code, reason and message of a Status."""
        status = self.json
        return self.status, status["reason"], status["message"]


class Stream:
    """An open watch."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.started: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.rest = b""

    async def next(self, seconds: float = 5) -> dict[str, Any] | None:
        """The next event; None when the stream has ended."""
        while b"\n" not in self.rest:
            chunk = await asyncio.wait_for(self.chunks.get(), seconds)
            if not chunk:
                return None
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        event: dict[str, Any] = orjson.loads(line)
        return event

    async def take(self, count: int) -> list[tuple[str, str]]:
        """Type and object name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events if event]


class Api:
    """The server and a way to talk to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.app = App(server)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        user: str | None = "admin",
        groups: tuple[str, ...] = ("system:masters",),
        token: str = "",
    ) -> Answer:
        """Send a request and wait for the whole answer. `user=None` sends no credentials."""
        scope = _scope(method, path, query, headers, user if not token else None, groups, token)
        content = _content(body)
        sent = asyncio.Event()
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def receive() -> dict[str, Any]:
            if sent.is_set():
                await asyncio.Event().wait()
            sent.set()
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return Answer(start["status"], _decoded(start["headers"]), b"".join(parts))

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        return await self.request("POST", path, body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Answer:
        return await self.request("PUT", path, body, **options)

    async def delete(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.request("DELETE", path, body, **options)

    async def patch(self, path: str, body: Any, type: str = MERGE, **options: Any) -> Answer:
        headers = {"content-type": type, **options.pop("headers", {})}
        return await self.request("PATCH", path, body, headers=headers, **options)

    async def apply(self, path: str, body: Any, manager: str = "tester", **options: Any) -> Answer:
        """Server-side apply; options of the request (`force`, `dryRun`) and of `request` alike."""
        query = {"fieldManager": manager}
        query |= {word: options.pop(word) for word in ("force", "dryRun", "fieldValidation") if word in options}
        return await self.request("PATCH", path, body, headers={"content-type": APPLY}, query=query, **options)

    async def made(self, path: str, body: Any, **options: Any) -> Any:
        """Create something that must succeed; the object as stored."""
        answer = await self.post(path, body, **options)
        assert answer.status == 201, answer.body
        return answer.json

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = "application/json", user: str = "admin", **query: Any
    ) -> AsyncIterator[Stream]:
        """An open watch; the client hangs up at the end."""
        scope = _scope("GET", path, {"watch": "true", **query}, {"accept": accept}, user, ("system:masters",), "")
        stream, gone = Stream(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                stream.started.set_result(Answer(message["status"], _decoded(message["headers"]), b""))
            elif message.get("body") or not message.get("more_body"):
                await stream.chunks.put(message.get("body", b""))

        serving = asyncio.ensure_future(self.app(scope, receive, send))
        try:
            await stream.started
            yield stream
        finally:
            gone.set()
            await serving


@contextlib.asynccontextmanager
async def running_api(
    store: Store | None = None,
    *,
    now: Callable[[], datetime] | None = None,
    admission: bool = False,
    audit: Audit | None = None,
    **more: Any,
) -> AsyncIterator[Api]:
    """A server that is ready. Pods need no service account unless `admission` asks for the whole of it.

    `more` are further settings.
    """
    disabled = () if admission else ("ServiceAccount",)
    settings = Settings(service_account_key=service_account_key(), disabled_admission=disabled, **more)
    store = store or MemoryStore()
    server = Server(store, settings, now=now, audit=audit) if now else Server(store, settings, audit=audit)
    api = Api(server)
    running = asyncio.ensure_future(server.run())
    while server.health.pending:
        await asyncio.sleep(0)
        if running.done():
            running.result()
    try:
        yield api
    finally:
        server.end_watches()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


@cache
def service_account_key() -> Path:
    """A key to sign tokens with, one for the whole run and gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="wherry-tests-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "sa.key"
    path.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


@cache
def certificate_of(user: str, groups: tuple[str, ...] = ()) -> bytes:
    """A client certificate in DER; who signed it was TLS' business."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    name = x509.Name([*attributes, *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _content(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else orjson.dumps(body)


def _decoded(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in headers]


def _scope(
    method: str,
    path: str,
    query: dict[str, Any] | None,
    headers: dict[str, str] | None,
    user: str | None,
    groups: tuple[str, ...],
    token: str,
) -> dict[str, Any]:
    sent = {"accept": "application/json", **(headers or {})}
    if token:
        sent["authorization"] = f"Bearer {token}"
    pairs = [(key.lower().encode(), value.encode("latin-1")) for key, value in sent.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": pairs, "extensions": {}}
    scope |= {"raw_path": quote(path).encode(), "root_path": "", "http_version": "1.1", "scheme": "https"}
    scope["query_string"] = urlencode(query or {}, doseq=True).encode()
    if user is not None:
        scope["extensions"]["tls"] = {"client_cert_der": certificate_of(user, groups)}
    return scope
