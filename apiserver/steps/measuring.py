"""Every request is counted by what it was, how it ended and how long that took. Kubernetes: endpoints/metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from apiserver.request import Answer, Request

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def measure(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Count what comes back; a stream counts when it begins."""
    begun = time.perf_counter()
    server.counts.running += 1
    answer = None
    try:
        answer = await proceed(server, request)
        return answer
    finally:
        server.counts.end(request, answer, time.perf_counter() - begun, server.serves)
