"""A request as the pipeline sees it, and the three forms an answer can take."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import getrandbits
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import orjson

from apiserver.tracing.trace import part
from wherry.machinery.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from apiserver.fairness.bodies import Room
    from apiserver.fairness.turnstile import Turnstile

BODY_LIMIT_BYTES = 3 * 1024 * 1024  # Kubernetes: the apiserver's limit for resource requests

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class User(NamedTuple):
    """Who is asking. Kubernetes: user.Info."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
# The server's own writes, when it bootstraps or keeps a promise of one request in another object.
SERVER_ITSELF = User("system:apiserver", ("system:masters", "system:authenticated"))


class Target(NamedTuple):
    """What a resource request is about; `subresource` may hold a path for proxies."""

    group: str
    version: str
    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(slots=True)
class Request:
    """One request. The steps of the pipeline fill in `target`, `verb` and `user` as they learn them."""

    scope: Scope
    receive: Receive
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[bytes, bytes]
    target: Target | None = None
    verb: str = ""
    user: User = ANONYMOUS
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)  # for the audit log
    told: list[tuple[bytes, bytes]] = field(default_factory=list)  # headers of the answer, whatever it is
    weight: int = 0  # of the body, once it was read, in bytes of text
    room: Room | None = None  # that a long body has
    audit_id: str = ""  # by which the audit log and the answer name it: the client's choice, or ours

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        """Read an ASGI scope, HTTP or WebSocket."""
        raw = scope.get("query_string") or b""
        query: dict[str, list[str]] = {}
        if raw:
            for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
                query.setdefault(key, []).append(value)
        headers = dict(scope["headers"])
        audit_id = headers.get(b"audit-id", b"")[:128].decode("latin-1") or new_audit_id()
        return cls(scope, receive, scope.get("method", "GET"), scope["path"], query, headers, audit_id=audit_id)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Whether a query parameter is given and true, as Go parses it."""
        return self.first(name).lower() in ("1", "t", "true")

    def header(self, name: bytes) -> str:
        """A header's value, or an empty string."""
        return self.headers.get(name, b"").decode("latin-1")

    def abort(self) -> None:
        """End the client's connection without waiting for what it has not read yet."""
        abort = (self.scope.get("extensions") or {}).get("abort")
        if abort is not None:
            abort()

    def narrow(self) -> None:
        """Have the body come in small pieces."""
        narrow = (self.scope.get("extensions") or {}).get("narrow")
        if narrow is not None:
            narrow()

    def known_as(self, turnstile: Turnstile, flow: str) -> bool:
        """Say of which flow this is; whether it has already had its turn."""
        known_as = (self.scope.get("extensions") or {}).get("known_as")
        return known_as is not None and known_as(turnstile, flow)

    @property
    def announced_bytes(self) -> int:
        """How long the body says it is; one that does not say may be as long as bodies may be."""
        if b"transfer-encoding" in self.headers:
            return BODY_LIMIT_BYTES
        return int(self.headers.get(b"content-length", b"0") or 0)

    async def body(self) -> bytes:
        """The whole body; raises `TooLarge` beyond the limit without reading further."""
        chunks: list[bytes] = []
        size = 0
        if self.announced_bytes > BODY_LIMIT_BYTES:
            raise too_large()
        while True:
            with part("body"):
                message = await self.receive()
            if message["type"] != "http.request":
                raise BadRequest("the client closed the connection before the body was complete")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > BODY_LIMIT_BYTES:
                raise too_large()
            chunks.append(chunk)
            if self.room is not None:
                self.room.came(len(chunk))
            if not message.get("more_body"):
                if self.room is not None:
                    self.room.whole()
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def new_audit_id() -> str:
    """A random UUID; Python's own takes three times as long, which each request would pay."""
    text = f"{getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-9{text[17:20]}-{text[20:]}"


def too_large() -> TooLarge:
    """The answer to a body over the limit."""
    return TooLarge(f"Request entity too large: limit is {BODY_LIMIT_BYTES}")


class Response(NamedTuple):
    """A whole answer. A long body goes on in `more`."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    more: Sequence[bytes] = ()


class Stream(NamedTuple):
    """An answer that goes on: headers at once, then chunks as they come.

    `direct`, if there is one, is told how to write a chunk to the connection while `chunks` has none.
    """

    chunks: AsyncIterator[bytes]
    content_type: bytes = b"application/json"
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    direct: Callable[[Callable[[bytes], bool]], None] | None = None


class Upgrade(NamedTuple):
    """An answer that takes over the connection (WebSocket)."""

    serve: Callable[[Scope, Receive, Send], Awaitable[None]]


Answer = Response | Stream | Upgrade


def json_response(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """A JSON answer."""
    return Response(status, orjson.dumps(value), headers=headers)


# The bounds of all warnings together and, where they break it, of each. Kubernetes: filters.WithWarningRecorder.
_WARNING_CHARACTERS, _LONG_WARNING_CHARACTERS = 4096, 256
# Python's own HTTP client refuses an answer with more than a hundred headers.
_MOST_WARNINGS = 64


def warning_headers(warnings: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Warnings as kubectl prints them, each once, and not too many. Kubernetes: net.NewWarningHeader."""
    texts = list(dict.fromkeys(filter(None, warnings)))[:_MOST_WARNINGS]
    if sum(map(len, texts)) > _WARNING_CHARACTERS:
        texts = [text[:_LONG_WARNING_CHARACTERS] for text in texts]
    room = _WARNING_CHARACTERS
    fitting = []
    for text in texts:
        if room <= 0:
            break
        fitting.append((b"warning", _warning(text)))
        room -= len(text)
    return tuple(fitting)


def _warning(text: str) -> bytes:
    """
    >>> _warning('unknown field "spec.a\\x00b\\n"')
    b'299 - "unknown field \\\\"spec.a b \\\\""'
    """
    # Field names and what others answered stand in warnings: no server sends a header with control characters in it.
    printable = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'.encode("utf-8", "replace")


def split_path(path: str) -> list[str]:
    """Path segments, percent-decoded; empty ones dropped."""
    return [unquote(part) for part in path.split("/") if part]
