"""The parsers that take text from strangers, each as a function of bytes.

A function returns, or refuses by the error its callers answer 4xx for; all else is a fault. To add one, write such a
function and a line in tests/fuzz/targets.py.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from apiserver.fairness.aside import HUGE_BYTES, weight_of
from apiserver.ownership.entries import APPLY, Author
from apiserver.reading.listing import selection_of, version_of
from apiserver.reading.negotiation import aggregated_discovery, negotiate
from apiserver.request import Request, User
from apiserver.writing.decoding import accept, parse, source_of
from apiserver.writing.patching import patch_function
from apiserver.writing.rest import Write
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.zone import Zone
from tests.fuzz.grammars import POD
from tests.fuzz.server import BytesServer
from tests.make import a_deployment, a_service, to_json
from wherry.api import kinds
from wherry.api.apps.deployment import Deployment
from wherry.api.batch.cron_schedule import parse_schedule
from wherry.api.batch.indexes import parse_indexes
from wherry.api.certificates.request import requested
from wherry.api.core.pod import Pod
from wherry.machinery import channels, jsonpath, names, protobuf, quantity, validation
from wherry.machinery.cel import Environment, Failure
from wherry.machinery.errors import BadRequest
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.schema.formats import is_in_format
from wherry.machinery.selectors import parse_field_selector, parse_label_selector
from wherry.machinery.spdy import Spdy
from wherry.machinery.time import duration_text, go_duration_text, parse_go_duration, parse_time, time_text

kinds.load()

NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
STORED = {
    **to_json(a_deployment("web", replicas=3)),
    "apiVersion": "apps/v1",
    "kind": "Deployment",
}
STORED["metadata"] |= {"namespace": "default", "resourceVersion": "7", "finalizers": ["a/b", "c/d"]}
_STORED_TEXT = orjson.dumps(STORED)
_RULES = (
    *(names.dns1123_label, names.dns1123_subdomain, names.wildcard_dns1123_subdomain, names.dns1035_label),
    *(names.qualified_name, names.label_value, names.path_segment, names.config_key, names.environment_name),
    *(names.c_identifier, names.http_header, names.url_path, names.percent, names.port_name),
)
_FORMATS = ("date-time", "duration", "ipv4", "ipv6", "cidr", "uri", "email", "hostname", "uuid", "byte", "mac", "date")


def text_of(data: bytes) -> str:
    """Bytes as text that may stand in JSON."""
    return data.decode("utf-8", "replace")


def a_request(method: str = "GET", query: bytes = b"", body: bytes = b"", **headers: str) -> Request:
    """A request as the pipeline sees it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    lines = [(name.replace("_", "-").encode(), text.encode("latin-1", "replace")) for name, text in headers.items()]
    return Request.of({"query_string": query, "headers": lines, "method": method, "path": "/"}, receive)


def finished(work: Coroutine[Any, Any, Any], weight: int) -> Any:
    """What a coroutine returns. Only on what is heavy does it wait for anything."""
    if weight >= HUGE_BYTES:
        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("it waits for something, though its input is light")


def quantities(data: bytes) -> None:
    """All readings of a quantity, and that its canonical text means the same."""
    text = text_of(data)
    canonical = quantity.canonical(text)
    if quantity.millis(canonical) != quantity.millis(text) or quantity.canonical(canonical) != canonical:
        raise RuntimeError(f"{canonical!r} is not the same as {text!r}")


def label_selectors(data: bytes) -> None:
    """Parse, and select."""
    parse_label_selector(text_of(data)).matches({"app": "web", "tier": "", "count": "7"})


def field_selectors(data: bytes) -> None:
    """Parse, and select."""
    parse_field_selector(text_of(data)).matches({"metadata.name": "web", "spec.nodeName": ""})


def queries(data: bytes) -> None:
    """What a list reads of its query."""
    request = a_request(query=data)
    version_of(request)
    selection_of(request, Pod, "default")


def accept_headers(data: bytes) -> None:
    """Which form an answer takes."""
    text = data.decode("latin-1")
    aggregated_discovery(text)
    negotiate(text)


def patches(media_type: str) -> Callable[[bytes], None]:
    """A patch of one type, laid over a stored Deployment."""

    def run(data: bytes) -> None:
        write = Write(Deployment, "UPDATE", "default", "web", User("admin"), is_patch=True)
        write.author = Author("fuzz", "apps/v1", APPLY)
        query = (b"fieldValidation=Strict", b"force=true", b"force=true&fieldValidation=Ignore")[len(data) % 3]
        request = a_request("PATCH", query, data, content_type=media_type)
        change = finished(patch_function(request, Deployment, write), weight_of(data))
        change(orjson.loads(_STORED_TEXT))

    return run


def bodies(media_type: str) -> Callable[[bytes], None]:
    """A body of one type that should be a pod."""

    def run(data: bytes) -> None:
        draft = parse(data, media_type)
        validation = "Strict" if len(data) % 3 else "Warn"
        accept(draft, Pod, validation=validation, warnings=[], source=source_of(data, media_type))

    return run


def deletions(data: bytes) -> None:
    """The options of a deletion as protobuf."""
    protobuf.decode_delete_options(data)


@cache
def _expressions() -> Environment:
    return Environment(object="dyn", oldObject="dyn", request="dyn")


def expressions(data: bytes) -> None:
    """Compile CEL, and evaluate it."""
    program = _expressions().compile(text_of(data))
    if not isinstance(program, Failure):
        program.evaluate(object=POD, oldObject=None, request={"operation": "CREATE"})


def times(data: bytes) -> None:
    """Instants and how they are written."""
    time_text(parse_time(text_of(data)))


def durations(data: bytes) -> None:
    """Durations as Go writes them, and that their text means the same."""
    nanoseconds = parse_go_duration(text_of(data))
    duration_text(nanoseconds / 1e9)
    if parse_go_duration(go_duration_text(nanoseconds)) != nanoseconds:
        raise RuntimeError(f"{go_duration_text(nanoseconds)} is not {nanoseconds} ns")


def schedules(data: bytes) -> None:
    """Schedules of CronJobs, and when they are due."""
    parse_schedule(text_of(data)).next_after(NOW)


def name_rules(data: bytes) -> None:
    """Every rule for names, and addresses."""
    text = text_of(data)
    for rule in _RULES:
        rule(text)
    list(validation.check_ip("ip", text))
    list(validation.check_cidr("cidr", text))
    list(validation.check_amount_or_percent("amount", text))


def formats(data: bytes) -> None:
    """Every format that a schema may name."""
    text = text_of(data)
    for format in _FORMATS:
        is_in_format(text, format)


def json_paths(data: bytes) -> None:
    """Parse a column's path, and look along it."""
    for _ in zip(jsonpath.find(jsonpath.parse(text_of(data)), POD), range(100), strict=False):
        pass


def indexes(data: bytes) -> None:
    """The completed indexes of a Job."""
    parse_indexes(text_of(data), 1000)


def certificate_requests(data: bytes) -> None:
    """A PEM block, in base64 as in the object."""
    requested(base64.b64encode(data).decode())


def spdy_frames(data: bytes) -> None:
    """What kubectl of old sends for exec and port-forward."""
    for _ in Spdy().feed(data):
        pass


def channel_messages(data: bytes) -> None:
    """What newer ones send over WebSockets."""
    message = channels.decode(data)
    channels.closed_channel(message)
    channels.decode_resize(message.data)


def managed_fields(data: bytes) -> None:
    """Metadata with entries of field managers, read as an object's."""
    draft = orjson.loads(data)
    if not isinstance(draft, dict):
        raise BadRequest("no object")
    wanted = accept({**STORED, "metadata": draft}, Deployment, validation="Warn", warnings=[])
    ObjectMeta.read(wanted["metadata"])


@cache
def _responder() -> Responder:
    services = [a_service("web", ports=((80, 80),)), a_service("db", ports=((80, 80),), cluster_ip="None")]
    return Responder(Zone(services, []))


def dns_packets(data: bytes) -> None:
    """A question to the cluster's DNS."""
    _responder().respond(data)


@cache
def _server() -> BytesServer:
    server = BytesServer()
    atexit.register(server.close)
    return server


# Answers above 499 that Kubernetes gives as well: of a version that is not there yet, of a backend that is not there,
# and of an object that may not be made with a resourceVersion.
_AS_KUBERNETES = (b" 503 ", b" 504 ", b"resourceVersion should not be set")


def connections(data: bytes) -> None:
    """Bytes from a connection, through uvicorn's parser, our protocol, and the whole API server."""
    answer = _server().answer(data)
    if b"HTTP/1.1 5" in answer and not any(words in answer for words in _AS_KUBERNETES):
        raise RuntimeError(f"answered {answer[:600]!r}")
