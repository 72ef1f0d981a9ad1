"""What does a request wait for? The log tells of those that take long, OpenTelemetry of a share of all.

Requests that go on and on have no trace. Kubernetes: WithTracing, and the traces of slow requests in its log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.request import Answer, Request, Upgrade
from apiserver.steps.prioritization import is_lasting
from apiserver.tracing.trace import Trace
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def trace(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Note what goes on until the answer begins."""
    if is_lasting(request):
        return await proceed(server, request)
    span = server.spans.of(request) if server.spans is not None else None
    # Of an answer that another app gives, the status is not known here.
    traced, status, failure = Trace(span), 0, None
    try:
        with traced:
            answer = await proceed(server, request)
        status = 0 if isinstance(answer, Upgrade) else answer.status
        return answer
    except ApiError as error:
        status = error.code
        raise
    except BaseException as error:
        failure = error
        raise
    finally:
        server.slow_requests.tell(request, traced, status)
        if span is not None:
            if status:
                span.tell({"http.response.status_code": status})
            span.end(failure, status)
