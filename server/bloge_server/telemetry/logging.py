"""Structured logs on standard error: text for a person at a terminal, JSON lines for machines."""

import logging
import sys
from typing import Literal

import structlog


def configure(log_format: Literal["auto", "json", "text"], level: str) -> None:
    """Set up structlog for the process.

    Args:
        log_format: `auto` means text on a terminal and JSON elsewhere.
        level: the least severe level that is logged.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(() if text else (structlog.processors.format_exc_info,)),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
