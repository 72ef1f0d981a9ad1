"""Nobody is judged by a server that does not know its objects yet: until it is ready, requests wait.

Without this a restart would answer good tokens with 401 and good versions with "too large". Questions about its health
do not wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apiserver import probes
from apiserver.request import Answer, Request
from wherry.machinery.errors import Unavailable

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

# A start takes about a second; whoever has waited for this long had better ask another server.
PATIENCE_SECONDS = 30.0


async def await_readiness(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Go on once the server is ready; a 503 with Retry-After when that takes too long."""
    if server.health.pending and not probes.is_health(request):
        try:
            await asyncio.wait_for(server.health.ready.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            raise Unavailable("the server is starting; try again", {"retryAfterSeconds": 1}) from None
    return await proceed(server, request)
