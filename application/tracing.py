"""Optional tracing of a request, its commit and its notifications.

OpenTelemetry is imported only if the operator names a collector, so it is not a required dependency
and costs nothing otherwise. A traced component creates a span for a request and passes it on.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.recorded_event import RecordedEvent

# Names from the OpenTelemetry specification.
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
DISABLED_VARIABLE = "OTEL_SDK_DISABLED"
HEADERS = ("traceparent", "tracestate")


class TracingNotInstalled(Exception):
    """A collector is named, but OpenTelemetry is not installed."""

    def __str__(self) -> str:
        return "traces need OpenTelemetry: pip install 'quorate[otel]'"


class Span(Protocol):
    """The span of one request."""

    def end(self, outcome: str, request_id: str) -> None: ...


class Tracing(Protocol):
    def start_request(self, transport: str, operation: str, headers: Mapping[str, str]) -> Span:
        """Start a span; ``headers`` may contain the caller's trace (W3C Trace Context)."""

    def record_commit(
        self, envelopes: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        """Record a span for a committed batch, linked to the spans of its requests."""

    def record_notifications(self, row: RecordedEvent, notifications: int, began_ns: int) -> None:
        """Record a span for the published notifications of an event.

        The span belongs to the request that caused the event, if this process still remembers it.
        """

    async def stop(self) -> None:
        """Send the remaining spans within a short time limit."""


def create_tracing(endpoint: str | None) -> Tracing | None:
    """Return None unless a collector is named here or in a standard environment variable."""
    if not endpoint and not _is_configured(os.environ):
        return None
    try:
        from quorate.application.spans import Spans  # noqa: PLC0415 - see above.
    except ImportError as error:
        raise TracingNotInstalled from error
    return Spans.export_to(endpoint)


def _is_configured(variables: Mapping[str, str]) -> bool:
    if variables.get(DISABLED_VARIABLE, "").lower() == "true":
        return False
    if variables.get(EXPORTER_VARIABLE, "otlp") != "otlp":
        return False
    return any(variables.get(name) for name in ENDPOINT_VARIABLES)
