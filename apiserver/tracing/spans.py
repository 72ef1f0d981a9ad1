"""Requests as OpenTelemetry knows them: a span each, with spans for its parts, sent over OTLP.

What is imported here, the extra `tracing` installs; nothing imports this module unless a file wants it.

Kubernetes: filters.WithTracing, component-base/tracing.
"""

from __future__ import annotations

import threading

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace import Span as OpenTelemetrySpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apiserver.request import Request
from apiserver.tracing.configuration import TracingConfiguration

# Whose word is taken that a request is part of a trace that is recorded. Kubernetes: notSystemPrivilegedGroup.
_BELIEVED = frozenset(("system:masters", "system:monitoring"))
_CONTEXT = TraceContextTextMapPropagator()
# By itself, the exporter tries again for ten: longer than a server has to end.
LAST_SECONDS = 1.0


class Span:
    """One span that goes on."""

    __slots__ = ("_spans", "_within")

    def __init__(self, spans: Spans, within: OpenTelemetrySpan) -> None:
        self._spans, self._within = spans, within

    def child(self, name: str) -> Span:
        """A part of it."""
        return Span(self._spans, self._spans.tracer.start_span(name, set_span_in_context(self._within)))

    def tell(self, attributes: dict[str, str | int]) -> None:
        """What is known of it, by OpenTelemetry's names."""
        self._within.set_attributes(attributes)

    def end(self, error: BaseException | None = None, status: int = 0) -> None:
        """It is over; what went wrong on our side makes it an error."""
        if error is not None:
            self._within.set_status(Status(StatusCode.ERROR, type(error).__name__))
        elif status >= 500:
            self._within.set_status(Status(StatusCode.ERROR))
        self._within.end()

    @property
    def headers(self) -> dict[str, str]:
        """By which another server knows of it."""
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(self._within))
        return carrier


class Spans:
    """Decides which requests have one, and sends them off."""

    def __init__(self, configuration: TracingConfiguration, exporter: SpanExporter | None = None) -> None:
        sampler = ParentBased(TraceIdRatioBased(configuration.sampling_rate_per_million / 1_000_000))
        resource = Resource.create({"service.name": "apiserver"})
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._exporter = exporter or OTLPSpanExporter(endpoint=configuration.endpoint, insecure=True)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("apiserver")

    def of(self, request: Request) -> Span | None:
        """The span of a request that begins, if it is to be recorded."""
        context, links = None, []
        if b"traceparent" in request.headers:
            carrier = {"traceparent": request.header(b"traceparent"), "tracestate": request.header(b"tracestate")}
            context = _CONTEXT.extract(carrier)
            if not _BELIEVED.intersection(request.user.groups):
                # Others may say where they come from, but not what is recorded here.
                links, context = [Link(get_current_span(context).get_span_context())], None
        span = self.tracer.start_span(name_of(request), context, SpanKind.SERVER, links=links)
        if not span.is_recording():
            return None
        known: dict[str, str | int] = {"audit-id": request.audit_id, "url.path": request.path}
        known |= {"http.request.method": request.method, "user_agent.original": request.header(b"user-agent")}
        span.set_attributes(known)
        return Span(self, span)

    def close(self) -> None:
        """Send what waits, and nothing more; nobody who ends waits long for a collector that does not answer."""
        giving_up = threading.Timer(LAST_SECONDS, self._exporter.shutdown)
        giving_up.start()
        self._provider.shutdown()
        giving_up.cancel()


def name_of(request: Request) -> str:
    """What requests of its sort are called. Kubernetes: getSpanNameFromRequestInfo.

    `GET /apis/apps/v1/namespaces/{:namespace}/deployments/{:name}/status`
    """
    target = request.target
    if target is None:
        return request.method
    path = f"/apis/{target.group}/{target.version}" if target.group else f"/api/{target.version}"
    path += "/namespaces/{:namespace}" if target.namespace else ""
    path += f"/{target.plural}" + ("/{:name}" if target.name else "")
    path += f"/{target.subresource.partition('/')[0]}" if target.subresource else ""
    return f"{request.method} {path}"
