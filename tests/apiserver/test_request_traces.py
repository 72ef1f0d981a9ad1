"""What a request waited for: in the log where it took long, and as spans in a collector that speaks OTLP."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from apiserver.file_errors import FileProblem
from apiserver.tracing import slow, spans
from apiserver.tracing.configuration import TracingConfiguration, read_tracing
from apiserver.tracing.spans import Spans
from apiserver.tracing.trace import Trace, part
from tests.apiserver.local_api import CORE, Api, running_api
from tests.apiserver.served_api import served_api
from tests.apiserver.webhook_server import have_webhook, rule, webhook_server

MAPS = f"{CORE}/configmaps"
A_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORDED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Collector(service.TraceServiceServicer):
    """Listens as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: dict[str, Any] = {}
        self.service = ""

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        for told in request.resource_spans:
            self.service = next(
                each.value.string_value for each in told.resource.attributes if each.key == "service.name"
            )
            self.spans |= {span.name: span for scope in told.scope_spans for span in scope.spans}
        return messages.ExportTraceServiceResponse()


class Scene(NamedTuple):
    api: Api
    collector: Collector
    endpoint: str

    async def spans(
        self, per_million: int, *requests: tuple[str, str, dict[str, str], dict[str, Any]]
    ) -> dict[str, Any]:
        """What is told of requests: each a method, a path, headers and who asks."""
        spans = self.api.server.spans = Spans(a_configuration(self.endpoint, per_million))
        for method, path, headers, who in requests:
            await self.api.request(method, path, A_MAP if method == "POST" else None, headers=headers, **who)
        await asyncio.to_thread(spans.close)
        return self.collector.spans


def a_configuration(endpoint: str, per_million: int) -> TracingConfiguration:
    said = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "TracingConfiguration"}
    return TracingConfiguration.model_validate({**said, "endpoint": endpoint, "samplingRatePerMillion": per_million})


@pytest.fixture
def listening() -> Iterator[tuple[Collector, str]]:
    server, collector = grpc.server(ThreadPoolExecutor(2)), Collector()
    service.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"127.0.0.1:{port}"
    server.stop(None)


@pytest_asyncio.fixture
async def scene(listening: tuple[Collector, str]) -> AsyncIterator[Scene]:
    async with running_api() as api:
        yield Scene(api, *listening)


def values_of(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_collector_is_told_of_a_write_and_of_what_it_waited_for(scene: Scene) -> None:
    spans = await scene.spans(1_000_000, ("POST", MAPS, {"audit-id": "mine", "user-agent": "me"}, {}))

    whole = spans["POST /api/v1/namespaces/{:namespace}/configmaps"]
    parts = ("body", "mutating admission", "validating admission")
    assert {name: spans[name].parent_span_id for name in parts} == dict.fromkeys(parts, whole.span_id)
    told = {"http.request.method": "POST", "url.path": MAPS, "http.response.status_code": 201}
    assert values_of(whole) == {**told, "audit-id": "mine", "user_agent.original": "me"}
    assert scene.collector.service == "apiserver"


async def test_requests_that_are_not_drawn_have_no_span(scene: Scene) -> None:
    assert await scene.spans(0, ("POST", MAPS, {}, {})) == {}


@pytest.mark.parametrize("group", ["system:masters", "system:monitoring"])
async def test_the_trace_of_a_client_that_is_trusted_goes_on(scene: Scene, group: str) -> None:
    who = {"user": "ci", "groups": (group,)}

    spans = await scene.spans(0, ("GET", MAPS, RECORDED, who))

    whole = spans["GET /api/v1/namespaces/{:namespace}/configmaps"]
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, PARENT)


async def test_others_may_say_where_they_come_from_but_not_what_is_recorded(scene: Scene) -> None:
    who = {"user": "eve", "groups": ("lab",)}
    assert await scene.spans(0, ("GET", MAPS, RECORDED, who)) == {}

    spans = await scene.spans(1_000_000, ("GET", MAPS, RECORDED, who))

    whole = spans["GET /api/v1/namespaces/{:namespace}/configmaps"]
    assert (whole.trace_id.hex() != TRACE, whole.parent_span_id) == (True, b"")
    assert [link.trace_id.hex() for link in whole.links] == [TRACE]


class Silent(SpanExporter):
    """A collector that does not answer, until nobody waits for it any more."""

    def __init__(self) -> None:
        self._given_up, self.was_given_up = threading.Event(), False

    def export(self, spans: Any) -> SpanExportResult:
        self.was_given_up = self._given_up.wait(5)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._given_up.set()


def test_a_collector_that_does_not_answer_keeps_nobody_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "LAST_SECONDS", 0.01)
    exporter = Silent()
    told = Spans(a_configuration("localhost:4317", 1_000_000), exporter)
    told.tracer.start_span("last").end()

    told.close()

    assert exporter.was_given_up


async def test_a_webhook_is_told_of_which_trace_its_answer_is_a_part(
    tmp_path: Path, listening: tuple[Collector, str]
) -> None:
    collector, endpoint = listening
    async with served_api(tmp_path) as served, webhook_server(served) as hooks:
        hooks.answers["/allow"] = lambda request: {"allowed": True}
        await have_webhook(served.api, "validating", "see", hooks.at("/allow"), [rule("configmaps")])
        spans = served.api.server.spans = Spans(a_configuration(endpoint, 1_000_000))
        await served.api.made(MAPS, A_MAP)
        await asyncio.to_thread(spans.close)

    asked = collector.spans["webhook see.example.com"]
    assert hooks.headers[-1]["traceparent"].startswith(f"00-{asked.trace_id.hex()}-{asked.span_id.hex()}-")
    assert asked.parent_span_id == collector.spans["validating admission"].span_id


async def test_a_slow_request_says_in_the_log_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SLOW_SECONDS", 0)
    monkeypatch.setattr(slow, "SHORT_SECONDS", 0)
    async with running_api() as api:
        with capture_logs() as logs:
            await api.post(MAPS, A_MAP, query={"token": "hidden"}, user="ann")

    (told,) = [each for each in logs if each["event"] == "slow request"]
    assert (told["verb"], told["path"], told["user"], told["status"]) == ("create", MAPS, "ann", 201)
    names = [each.partition(":")[0] for each in told["parts"]]
    assert names == ["body", "mutating admission", "validating admission"]
    assert "hidden" not in str(told)


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.grpc"]
)
def test_a_part_of_opentelemetry_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    file = tmp_path / "tracing.yaml"
    file.write_text("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n")
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(FileProblem, match="OpenTelemetry is not installed: pip install"):
        read_tracing(file)


async def test_no_status_is_told_of_an_answer_that_another_app_gives(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "SLOW_SECONDS", 0)
    with capture_logs() as logs:
        told = await scene.spans(1_000_000, ("GET", "/metrics", {}, {}))

    (line,) = [each for each in logs if each["event"] == "slow request"]
    assert "status" not in line
    assert "http.response.status_code" not in values_of(told["GET"])


async def test_where_everything_is_slow_the_log_tells_of_ten_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SLOW_SECONDS", 0)
    monkeypatch.setattr(slow.time, "monotonic", lambda: 7.0)
    async with running_api() as api:
        with capture_logs() as logs:
            for _ in range(25):
                await api.get(MAPS)
            monkeypatch.setattr(slow.time, "monotonic", lambda: 8.0)
            await api.get(MAPS)

    told = [each for each in logs if each["event"] == "slow request"]
    assert (len(told), told[-1]["untold"]) == (11, 15)


def test_what_outlives_a_request_is_no_part_of_it() -> None:
    trace = Trace()
    with trace:
        lasting = part("background")
    with part("later"):
        pass

    assert (type(lasting).__name__, trace.parts, type(part("none")).__name__) == ("Part", [], "_Untraced")
