"""OpenTelemetry spans for a request, its commit and its notifications.

* A request span continues the trace of the caller, if the request names one (W3C Trace Context).
* One commit serves many requests: its span and their spans link to each other. It belongs to the
  trace of the first request, so a single request has its commit in its own trace.
* The process remembers the trace of the last COMMANDS_KEPT_MAX commands with notifications. A
  notification that another process relays, or that comes much later, has no span.
* Spans contain no tenant, no agent and no text from clients. A thread of OpenTelemetry sends them.
  When the collector does not accept them they are dropped, and no request waits.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import quorate
from quorate.application.request_metrics import OK
from quorate.contracts.problems import KINDS
from quorate.domain.registry import NOTIFYING_EVENTS
from quorate.eventlog.command_queue import BATCH_COMMANDS_MAX
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.runtime.log_throttle import ThrottledWarning

COMMANDS_KEPT_MAX = 10_000
STOP_SECONDS_MAX = 1.0
SERVER_ERROR_STATUS = 500  # And above.
REASON_LENGTH_MAX = 200
_export_failed = ThrottledWarning("traces.export_failed")
_PATH = "/v1/traces"  # The path that the OTLP specification defines.


class Request:
    """The span of one request."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.context = span.get_span_context()

    def link(self, commit: SpanContext) -> None:
        self._span.add_link(commit)

    def end(self, outcome: str, request_id: str) -> None:
        self._span.set_attributes({"quorate.outcome": outcome, "quorate.request_id": request_id})
        if outcome != OK and KINDS[outcome].status >= SERVER_ERROR_STATUS:
            self._span.set_status(Status(StatusCode.ERROR, outcome))
        self._span.end()


class Spans:
    """Creates spans and exports them."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("quorate", quorate.__version__)
        self._callers = TraceContextTextMapPropagator()
        # By command id: the span of the request, and the span of the commit.
        self._causes: OrderedDict[str, tuple[SpanContext, SpanContext]] = OrderedDict()

    @classmethod
    def export_to(cls, endpoint: str | None) -> "Spans":
        """Export to this collector, or to the one that the standard variables name."""
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH if endpoint else None)
        defaults = Resource({SERVICE_NAME: "quorate", SERVICE_VERSION: quorate.__version__})
        provider = TracerProvider(
            resource=defaults.merge(_from_environment()),
            span_limits=SpanLimits(max_links=BATCH_COMMANDS_MAX),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        _log_failures()
        return cls(provider)

    async def stop(self) -> None:
        """Send the remaining spans; give up after STOP_SECONDS_MAX if the collector is down."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, STOP_SECONDS_MAX)

    # -- Requests, commits, notifications --------------------------------------------

    def start_request(self, transport: str, operation: str, headers: Mapping[str, str]) -> Request:
        caller = self._callers.extract(headers) if "traceparent" in headers else Context()
        attributes = {"quorate.operation": operation, "network.protocol.name": transport}
        span = self._tracer.start_span(
            operation, context=caller, kind=SpanKind.SERVER, attributes=attributes
        )
        return Request(span)

    def record_commit(
        self, envelopes: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        requests = {envelope.command_id: request for envelope, request in _with_trace(envelopes)}
        if not requests:
            return
        contexts = [request.context for request in requests.values()]
        span = self._tracer.start_span(
            "commit",
            context=_within(contexts[0]),
            links=[Link(context) for context in contexts],
            start_time=began_ns,
            attributes={"quorate.commands": len(envelopes), "quorate.events": len(rows)},
        )
        commit = span.get_span_context()
        for request in requests.values():
            request.link(commit)
        for row in rows:
            if row.type in NOTIFYING_EVENTS and row.command_id in requests:
                self._remember(row.command_id, requests[row.command_id].context, commit)
        span.end()

    def record_notifications(self, row: RecordedEvent, notifications: int, began_ns: int) -> None:
        cause = self._causes.get(row.command_id)
        if cause is None:
            return
        request, commit = cause
        self._tracer.start_span(
            "notification",
            context=_within(request),
            kind=SpanKind.PRODUCER,
            links=[Link(commit)],
            start_time=began_ns,
            attributes={
                "quorate.event.id": row.id,
                "quorate.event.type": row.type,
                "quorate.notifications": notifications,
            },
        ).end()

    def _remember(self, command_id: str, request: SpanContext, commit: SpanContext) -> None:
        self._causes[command_id] = (request, commit)
        while len(self._causes) > COMMANDS_KEPT_MAX:
            self._causes.popitem(last=False)


class _FailureHandler(logging.Handler):
    """Logs export errors of OpenTelemetry like other events, and at a limited rate."""

    def emit(self, record: logging.LogRecord) -> None:
        _export_failed.warn(reason=record.getMessage()[:REASON_LENGTH_MAX])


def _log_failures() -> None:
    library_logger = logging.getLogger("opentelemetry")
    library_logger.handlers, library_logger.propagate = [_FailureHandler(logging.WARNING)], False


def _from_environment() -> Resource:
    """Return the resource attributes from the standard variables; they override the defaults."""
    found = Resource.create().attributes
    unknown = str(found[SERVICE_NAME]).startswith("unknown_service")
    return Resource(
        {key: value for key, value in found.items() if key != SERVICE_NAME or not unknown}
    )


def _with_trace(envelopes: Sequence[CommandEnvelope]) -> Iterator[tuple[CommandEnvelope, Request]]:
    for envelope in envelopes:
        if isinstance(envelope.trace, Request) and envelope.trace.context.trace_flags.sampled:
            yield envelope, envelope.trace


def _within(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())
