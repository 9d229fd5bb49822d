"""Traces from a request to its commit and its notifications, if an operator names a collector.

OpenTelemetry is imported only then: nobody else needs it installed or pays for it. Whoever is
traced asks for a span when a request begins and hands it on; without tracing there is none.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.recorded_event import RecordedEvent

# As the OpenTelemetry specification names them.
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
DISABLED_VARIABLE = "OTEL_SDK_DISABLED"
HEADERS = ("traceparent", "tracestate")


class TracingNotInstalled(Exception):
    """A collector was named, and OpenTelemetry is not there."""

    def __str__(self) -> str:
        return "traces need OpenTelemetry: pip install 'quorate[otel]'"


class Span(Protocol):
    """One request, from when it came."""

    def end(self, outcome: str, request_id: str) -> None: ...


class Tracing(Protocol):
    def began(self, transport: str, operation: str, headers: Mapping[str, str]) -> Span:
        """A request came; ``headers`` may say of which trace it is part (W3C Trace Context)."""

    def committed(
        self, orders: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        """A batch is on disk: one more span, linked to those of its requests."""

    def said(self, row: RecordedEvent, notifications: int, began_ns: int) -> None:
        """The notifications of an event went out: a span of the request that brought it about, as far
        as that was one of this process, and not too many others ago.
        """

    async def stop(self) -> None:
        """Send what was not sent yet, if that is quick."""


def tracing_to(endpoint: str | None) -> Tracing | None:
    """None unless a collector is named here or by a standard variable."""
    if not endpoint and not _is_configured(os.environ):
        return None
    try:
        from quorate.application.spans import Spans  # noqa: PLC0415 - see above.
    except ImportError as error:
        raise TracingNotInstalled from error
    return Spans.to(endpoint)


def _is_configured(variables: Mapping[str, str]) -> bool:
    if variables.get(DISABLED_VARIABLE, "").lower() == "true":
        return False
    if variables.get(EXPORTER_VARIABLE, "otlp") != "otlp":
        return False
    return any(variables.get(name) for name in ENDPOINT_VARIABLES)
