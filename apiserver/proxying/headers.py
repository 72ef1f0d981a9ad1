"""Which headers travel with a request that is passed on, and with its answer.

Credentials never do: they were meant for the API server. Kubernetes: httputil.ReverseProxy and proxyutil.Transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apiserver.request import Scope

Headers = list[tuple[str, str]]

# What concerns one connection and not the request (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
# What only the API server may read, and what it has answered itself.
_OURS = frozenset(("authorization", "expect"))
# What is said anew on every leg, and what a client must not say of itself.
_CLAIMS = ("impersonate-", "sec-websocket-", "x-forwarded-", "x-remote-")


def decoded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers as text, byte for byte."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def passed_on(headers: Headers) -> Iterator[tuple[str, str]]:
    """What is not about this connection alone."""
    named = {
        word.strip().lower() for name, value in headers if name.lower() == "connection" for word in value.split(",")
    }
    for name, value in headers:
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named:
            yield name, value


def of_request(scope: Scope, ours: Sequence[tuple[str, str]] = ()) -> Headers:
    """The headers for the backend: the client's without its credentials, where the request came from, and ours.

    What we say ourselves, the client does not say.
    """
    unsaid = _OURS.union(name.lower() for name, _ in ours)
    given = decoded(scope["headers"])
    kept = [
        (name, value)
        for name, value in passed_on(given)
        if name.lower() not in unsaid and not name.lower().startswith(_CLAIMS)
    ]
    before = [value for name, value in given if name.lower() == "x-forwarded-for"]
    client = scope.get("client")
    came_through = ", ".join((*before, client[0])) if client else ", ".join(before)
    if came_through:
        kept.append(("X-Forwarded-For", came_through))
    kept.append(("X-Forwarded-Uri", scope["path"]))
    kept.append(("X-Forwarded-Host", next((value for name, value in given if name.lower() == "host"), "")))
    kept.append(("X-Forwarded-Proto", "https" if scope.get("scheme") in ("https", "wss") else "http"))
    return [*kept, *ours]


def of_answer(headers: Headers) -> Headers:
    """The headers for the client. The date is left to our own server, which writes one."""
    return [(name, value) for name, value in passed_on(headers) if name.lower() != "date"]
