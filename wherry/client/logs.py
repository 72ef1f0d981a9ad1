"""The log of a component: a line per event. What variables hold is never in it: bodies of requests, Secrets, keys."""

from __future__ import annotations

import sys

import structlog


def log_to_stdout(level: int = 0) -> None:
    """Have everything from this level on logged, in columns to be read.

    Where `rich` or `better_exceptions` happen to be installed, structlog would print the variables of every frame of a
    traceback.
    """
    *before, _ = structlog.get_config()["processors"]
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*before, renderer], wrapper_class=structlog.make_filtering_bound_logger(level))


def log_to_stderr() -> None:
    """Have everything logged that is told from here on, but for what only debugging needs, as `key=value`."""
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
