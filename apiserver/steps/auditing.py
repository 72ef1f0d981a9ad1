"""Who did what is written down, if a policy wants it. Kubernetes: WithAudit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.request import Answer, Request

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server


async def audit(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Tell of the request before and after; without a policy it only passes."""
    record = server.audit.record_of(server, request) if server.audit is not None else None
    if record is None:
        return await proceed(server, request)
    record.received()
    try:
        return record.answered(await proceed(server, request))
    except Exception as error:
        record.failed(error)
        raise
