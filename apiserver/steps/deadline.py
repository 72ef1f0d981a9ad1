"""No request takes for ever: after a minute, or sooner if its client says so (`?timeout=10s`), the answer is a 504.

Whether a write had its effect by then is open, as the status says. Requests that go on and on have no deadline, and
neither has a read that is answered from memory without waiting. Kubernetes: WithRequestDeadline.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apiserver.request import Answer, Request
from apiserver.steps.prioritization import is_lasting
from wherry.machinery.errors import BadRequest, Timeout
from wherry.machinery.time import parse_go_duration

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

_NANOSECONDS = 1_000_000_000
# A timer for each of them would cost more than there is to gain: they wait for the store alone, which has its own.
_READS = ("get", "list")


async def keep_deadline(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Raise Timeout when the time is up."""
    wanted = request.first("timeout") if request.query else ""
    if (request.verb in _READS and not wanted) or is_lasting(request):
        return await proceed(server, request)
    seconds = server.settings.request_timeout_seconds
    if wanted:
        seconds = min(seconds, _seconds(wanted) or seconds)
    try:
        async with asyncio.timeout(seconds) as deadline:
            return await proceed(server, request)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Timeout("request did not complete within the allotted timeout", {}) from None


def _seconds(text: str) -> float:
    """A duration as Go writes it; zero is none."""
    try:
        nanoseconds = parse_go_duration(text)
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL: {error}") from None
    return max(nanoseconds, 0) / _NANOSECONDS
