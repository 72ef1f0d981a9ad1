"""Requests that took long, in the log: what each waited for. Kubernetes: utiltrace.LogIfLong."""

from __future__ import annotations

import time

import structlog

from apiserver.request import Request
from apiserver.tracing.trace import Trace

log = structlog.get_logger()

# Kubernetes: the threshold of its traces of requests. Shorter parts are not what made one slow.
SLOW_SECONDS, SHORT_SECONDS = 0.5, 0.005
# Where everything is slow, some tell as much as all.
MOST_PER_SECOND = 10


class SlowRequests:
    """Tells of them, of a few each second."""

    def __init__(self) -> None:
        self._second, self._told, self._untold = 0, 0, 0

    def tell(self, request: Request, trace: Trace, status: int) -> None:
        """Tell of this one if it took long; its `status` is 0 where that is not known.

        Of its query nothing is told, which may hold what others wrote.
        """
        if trace.seconds < SLOW_SECONDS or not self._may_tell():
            return
        untold, self._untold = self._untold, 0
        log.info(
            "slow request",
            verb=request.verb,
            path=request.path,
            **({"status": status} if status else {}),
            user=request.user.name,
            agent=request.header(b"user-agent"),
            audit_id=request.audit_id,
            milliseconds=round(1000 * trace.seconds),
            # Those that ended first are told first; one that others are within ends after them.
            parts=[
                f"{name}: {1000 * (end - begin):.0f} ms after {1000 * (begin - trace.begun):.0f}"
                for name, begin, end in trace.parts
                if end - begin >= SHORT_SECONDS
            ],
            **({"untold": untold} if untold else {}),
        )

    def _may_tell(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        if self._told > MOST_PER_SECOND:
            self._untold += 1
            return False
        return True
