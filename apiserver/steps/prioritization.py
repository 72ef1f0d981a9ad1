"""Who is served now and who waits: every request takes a seat of its priority level.

Requests that go on and on (watches, streams, proxies) take none: they cost little once they have begun.

Kubernetes: WithPriorityAndFairness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.fairness.flows import FLOW
from apiserver.request import Answer, Request
from apiserver.tracing.trace import part

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

_LASTING = frozenset(("attach", "exec", "log", "portforward", "proxy"))


async def prioritize(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Wait for a seat; a 429 says that there is none, and when to come again."""
    place = server.sharing.place_of(request)
    if place is None:
        return await proceed(server, request)
    request.told += place.headers
    FLOW.set(place.flow)
    level = place.level
    if not level.is_limited or is_lasting(request):
        level.dispatched[place.schema] += 1
        server.turnstile.let_by(place.flow)
        return await proceed(server, request)
    has_passed = request.known_as(server.turnstile, place.flow)
    await server.sharing.enter(place)
    try:
        if not has_passed and not server.turnstile.passes(place.flow):
            with part("turn"):
                await server.turnstile.come(place.flow)
        return await proceed(server, request)
    finally:
        server.sharing.leave(place)


def is_lasting(request: Request) -> bool:
    """Whether a request goes on for as long as its client likes. Kubernetes: the long-running check."""
    target = request.target
    if request.verb == "watch" or request.scope["type"] == "websocket":
        return True
    return target is not None and target.subresource.partition("/")[0] in _LASTING
