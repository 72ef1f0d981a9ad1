"""Bodies of answers in the media type that the client prefers. Kubernetes: responsewriters."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from apiserver.reading.negotiation import JSON, PROTOBUF, YAML, Representation, negotiate
from apiserver.reading.representation import in_one_if_short
from apiserver.reading.styles import AS_YAML, INDENTED, in_yaml, indented, restyled
from apiserver.request import Request, Response, warning_headers
from wherry.machinery import protobuf
from wherry.machinery.errors import ApiError, NotAcceptable, Unauthorized

Headers = tuple[tuple[bytes, bytes], ...]


def written(request: Request, form: Representation, body: bytes, status: int = 200) -> Response:
    """An object that is there as JSON: as it is, indented for people, as YAML or protobuf; with the warnings."""
    headers = warning_headers(request.warnings)
    if form.is_protobuf:
        return Response(status, protobuf.encode(orjson.loads(body)), PROTOBUF.encode(), headers)
    if form.media_type == YAML:
        return Response(status, in_yaml(orjson.loads(body)), YAML.encode(), headers)
    if _is_pretty(request):
        body = indented(orjson.loads(body))
    return Response(status, body, headers=headers)


async def written_list(request: Request, form: Representation, pieces: list[bytes]) -> Response:
    """A list of which the pieces are there, as JSON or protobuf; others get their turn while it is written."""
    if form.media_type == YAML:
        pieces = await restyled(pieces, AS_YAML)
    elif form.media_type == JSON and _is_pretty(request):
        pieces = await restyled(pieces, INDENTED)
    body, *more = in_one_if_short(pieces)
    return Response(200, body, form.media_type.encode(), warning_headers(request.warnings), more)


def _is_pretty(request: Request) -> bool:
    if "pretty" in request.query:
        return request.flag("pretty")
    return request.headers.get(b"user-agent", b"").startswith((b"curl", b"Wget", b"Mozilla/5.0"))


def told(request: Request, value: dict[str, Any], status: int = 200, headers: Headers = ()) -> Response:
    """What belongs to no kind, such as a Status or discovery; in JSON where the client accepts nothing that is offered,
    since it says more than that it is not acceptable.
    """
    media_type = _plain(request.header(b"accept"))
    if media_type == PROTOBUF:
        return Response(status, protobuf.encode(value), PROTOBUF.encode(), headers)
    if media_type == YAML:
        return Response(status, in_yaml(value), YAML.encode(), headers)
    return Response(status, orjson.dumps(value), headers=headers)


@lru_cache(maxsize=256)
def _plain(accept: str) -> str:
    try:
        return negotiate(accept, forms=False).media_type
    except NotAcceptable:
        return JSON


def status_response(request: Request, error: ApiError) -> Response:
    """An error as an HTTP answer."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_seconds is not None and error.code in (429, 500, 503):
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="kubernetes"'))
    return told(request, error.to_status(), error.code, tuple(headers))
