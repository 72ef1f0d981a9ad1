"""Long bodies wait until there is room for them in memory: before they take a seat, and before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.fairness.bodies import SHORT_BYTES
from apiserver.request import BODY_LIMIT_BYTES, Answer, Request
from apiserver.steps.prioritization import is_lasting
from apiserver.tracing.trace import part

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def make_room(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Go on when there is room for the body; a 429 says that there is none, and when to come again."""
    size = request.announced_bytes
    if size <= SHORT_BYTES or size > BODY_LIMIT_BYTES or is_lasting(request):  # what is too long is never read
        return await proceed(server, request)
    request.narrow()
    with part("room"):
        room = request.room = await server.bodies.enter(request.user.name, size, request.abort)
    try:
        return await proceed(server, request)
    finally:
        room.leave()
