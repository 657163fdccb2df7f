"""Structured logs on standard error: text for a person at a terminal, JSON lines for machines."""

import logging
import sys
from typing import Literal

import structlog
from structlog.types import Processor


def configure(log_format: Literal["auto", "json", "text"], level: str) -> None:
    """Set up structlog for the process; warnings of libraries, which know only Python's own logging, join in.

    Args:
        log_format: `auto` means text on a terminal and JSON elsewhere.
        level: the least severe level that is logged.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if text else structlog.processors.JSONRenderer()
    )
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [*(() if text else (structlog.processors.format_exc_info,)), renderer]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _join_libraries(first, last)


def _join_libraries(first: list[Processor], last: list[Processor]) -> None:
    """Have what libraries log look like what we log."""
    handler = logging.StreamHandler(sys.stderr)
    name_and_clean = [structlog.stdlib.add_logger_name, structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=[*name_and_clean, *last])
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
