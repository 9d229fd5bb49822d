"""Traces by OpenTelemetry: a request, the commit that it was part of, the notifications that followed.

* A request's span continues the caller's trace, if the caller named one (W3C Trace Context).
* One commit serves many requests: its span is linked to all of theirs, and theirs to it. It stands
  in the trace of the first, so that a request that was alone has its commit in its own trace.
* Which command belongs to which trace is remembered for the last COMMANDS_KEPT_MAX with notifications,
  and in this process only: a notification relayed by another process, or much later, has no span.
* Spans hold no tenant, no agent and no text that anybody wrote. They are sent by a thread of
  OpenTelemetry's own; when nobody takes them, they are dropped, and nothing waits.
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
from quorate.domain.notifications import NOTICED_TYPES
from quorate.eventlog.command_queue import BATCH_ORDERS_MAX
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.runtime.log_throttle import ThrottledWarning

COMMANDS_KEPT_MAX = 10_000
STOP_SECONDS_MAX = 1.0
OUR_FAULT_STATUS = 500  # And above.
WHY_LENGTH_MAX = 200
_failure = ThrottledWarning("traces.not_sent")
_PATH = "/v1/traces"  # As the OTLP specification has it, behind a collector's address.


class Request:
    """The span of one request."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.context = span.get_span_context()

    def link(self, commit: SpanContext) -> None:
        self._span.add_link(commit)

    def end(self, outcome: str, request_id: str) -> None:
        self._span.set_attributes({"quorate.outcome": outcome, "quorate.request_id": request_id})
        if outcome != OK and KINDS[outcome].status >= OUR_FAULT_STATUS:
            self._span.set_status(Status(StatusCode.ERROR, outcome))
        self._span.end()


class Spans:
    """Makes them, and sees to it that they are sent."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("quorate", quorate.__version__)
        self._callers = TraceContextTextMapPropagator()
        # By command: the span of its request, and that of its commit.
        self._causes: OrderedDict[str, tuple[SpanContext, SpanContext]] = OrderedDict()

    @classmethod
    def to(cls, endpoint: str | None) -> "Spans":
        """To the collector at this address, or where the standard variables say."""
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH if endpoint else None)
        ours = Resource({SERVICE_NAME: "quorate", SERVICE_VERSION: quorate.__version__})
        provider = TracerProvider(
            resource=ours.merge(_named_by_operator()),
            span_limits=SpanLimits(max_links=BATCH_ORDERS_MAX),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        _tell_failures()
        return cls(provider)

    async def stop(self) -> None:
        """Not waited for when the collector is away: then the process simply ends."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, STOP_SECONDS_MAX)

    # -- Requests, commits, notifications --------------------------------------------

    def began(self, transport: str, operation: str, headers: Mapping[str, str]) -> Request:
        caller = self._callers.extract(headers) if "traceparent" in headers else Context()
        attributes = {"quorate.operation": operation, "network.protocol.name": transport}
        span = self._tracer.start_span(
            operation, context=caller, kind=SpanKind.SERVER, attributes=attributes
        )
        return Request(span)

    def committed(
        self, orders: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        requests = {order.command_id: request for order, request in _traced(orders)}
        if not requests:
            return
        contexts = [request.context for request in requests.values()]
        span = self._tracer.start_span(
            "commit",
            context=_within(contexts[0]),
            links=[Link(context) for context in contexts],
            start_time=began_ns,
            attributes={"quorate.commands": len(orders), "quorate.events": len(rows)},
        )
        commit = span.get_span_context()
        for request in requests.values():
            request.link(commit)
        for row in rows:
            if row.type in NOTICED_TYPES and row.command_id in requests:
                self._remember(row.command_id, requests[row.command_id].context, commit)
        span.end()

    def said(self, row: RecordedEvent, notifications: int, began_ns: int) -> None:
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


class _Telling(logging.Handler):
    """What OpenTelemetry has to complain of is a line like any other, and not one for each try."""

    def emit(self, record: logging.LogRecord) -> None:
        _failure.say(why=record.getMessage()[:WHY_LENGTH_MAX])


def _tell_failures() -> None:
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers, theirs.propagate = [_Telling(logging.WARNING)], False


def _named_by_operator() -> Resource:
    """What the standard variables say of this process; it comes before what we say."""
    found = Resource.create().attributes
    unknown = str(found[SERVICE_NAME]).startswith("unknown_service")
    return Resource(
        {key: value for key, value in found.items() if key != SERVICE_NAME or not unknown}
    )


def _traced(orders: Sequence[CommandEnvelope]) -> Iterator[tuple[CommandEnvelope, Request]]:
    for order in orders:
        if isinstance(order.trace, Request) and order.trace.context.trace_flags.sampled:
            yield order, order.trace


def _within(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())
