"""The way of a request through the API server, as a tuple one can read.

Each step is `async def step(server, request, proceed) -> Answer`: it may answer by itself, or learn something about the
request and `await proceed(server, request)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from apiserver.request import Answer, Request
from apiserver.steps.auditing import audit
from apiserver.steps.authentication import authenticate
from apiserver.steps.authorization import authorize
from apiserver.steps.batching import unpack_batch
from apiserver.steps.deadline import keep_deadline
from apiserver.steps.dispatch import dispatch
from apiserver.steps.identification import identify_request
from apiserver.steps.impersonation import impersonate
from apiserver.steps.measuring import measure
from apiserver.steps.panics import panics_become_500
from apiserver.steps.prioritization import prioritize
from apiserver.steps.readiness import await_readiness
from apiserver.steps.room import make_room
from apiserver.steps.tracing import trace

if TYPE_CHECKING:
    from apiserver.server import Server

Proceed = Callable[["Server", Request], Awaitable[Answer]]
Step = Callable[["Server", Request, Proceed], Awaitable[Answer]]

PIPELINE: tuple[Step, ...] = (
    measure,
    panics_become_500,
    identify_request,
    await_readiness,
    authenticate,
    trace,
    audit,
    impersonate,
    keep_deadline,
    make_room,
    prioritize,
    authorize,
    unpack_batch,
    dispatch,
)


def chain(steps: tuple[Step, ...]) -> Proceed:
    """One function that walks the steps in order; the last one must answer."""

    async def beyond_the_last(server: Server, request: Request) -> Answer:
        raise RuntimeError(f"no step answered {request.method} {request.path}")

    proceed: Proceed = beyond_the_last
    for step in reversed(steps):
        proceed = _bind(step, proceed)
    return proceed


def _bind(step: Step, rest: Proceed) -> Proceed:
    def walk(server: Server, request: Request) -> Awaitable[Answer]:
        return step(server, request, rest)

    return walk
