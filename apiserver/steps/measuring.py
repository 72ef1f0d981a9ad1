"""Every request is counted by what it was, how it ended and how long that took. Kubernetes: endpoints/metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from apiserver.request import Answer, Request, Upgrade

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def measure(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Count what comes back; a stream counts when it begins."""
    begun = time.perf_counter()
    server.counts.running += 1
    code = 499  # the client left before there was an answer
    try:
        answer = await proceed(server, request)
        code = 101 if isinstance(answer, Upgrade) else answer.status
        return answer
    finally:
        server.counts.end(request, code, time.perf_counter() - begun, server.serves)
