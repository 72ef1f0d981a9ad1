"""The log of a component: a line per event to stderr, as `key=value`."""

from __future__ import annotations

import sys

import structlog


def log_to_stderr() -> None:
    """Have everything logged that is told from here on, but for what only debugging needs."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
