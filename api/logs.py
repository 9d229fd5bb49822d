"""What the service says while it runs: one event a line, JSON unless a person is looking.

Values are always escaped, so one event is one line whatever callers send. Keys never get here:
requests are logged by their path, never with headers or query, and tracebacks without locals.
"""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Log to standard error at ``level`` (debug, info, warning or error)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        plain = structlog.dev.RichTracebackFormatter(show_locals=False)
        look: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=plain)
        ]
    else:
        look = [
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(),
        ]
    structlog.configure(
        processors=[*shared, *look],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard logging are heard only when something is wrong.
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr, force=True)
