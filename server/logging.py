"""What the service says while it runs: one event a line, JSON unless a person is looking.

Values are always escaped, so one event is one line whatever callers send. Keys never get here:
requests are logged by their path, never with headers or query, and tracebacks without locals.

What cannot be written is not said: a full disk under the log must not fail what is logged.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog


class Lossy:
    """A stream that takes everything, and loses what it cannot write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


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
    said: Any = Lossy(sys.stderr)
    structlog.configure(
        processors=[*shared, *look],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(said),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard logging are heard only when something is wrong.
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=said, force=True)
