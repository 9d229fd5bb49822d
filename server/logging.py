"""Application logs: one event per line, as JSON unless standard error is a terminal.

* Values are always escaped, so one event is one line, whatever clients send.
* Keys are never logged: a request is logged by its path, without headers and query, and a traceback
  without local variables.
* A line is one write: the processes of ``--workers`` share standard error.
* A line that cannot be written is dropped. A full disk under the log file must not fail a request.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog


class NonFailingStream:
    """A stream that drops what it cannot write."""

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
        renderers: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=plain)
        ]
    else:
        renderers = [
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(),
        ]
    stream: Any = NonFailingStream(sys.stderr)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard logging module log warnings and errors only.
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=stream, force=True)
