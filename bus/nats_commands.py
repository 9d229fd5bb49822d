"""Serve the agents' operations over NATS with the same handlers as over HTTP.

* Every operation of the registry that an agent key may call is available under its name. The
  exceptions are streams and operations on the API key itself. A new endpoint needs no code here.
* One JSON object contains the fields of the body or query and the ids of the path. The same
  models validate it as over HTTP. The subject determines the calling agent.
* Responses, rejections, replays and recorded events are the same over both transports. An
  idempotency key that was used over HTTP also counts over NATS.
* The message is parsed when it arrives and is not kept while the command executes. A message
  over the rate limit is not parsed.
"""

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial

from quorate.application.admission import (
    RequestLogEntry,
    attempt,
    check_tenant,
    internal_error,
    request_id,
    unavailable,
)
from quorate.application.as_of import handler_as_of
from quorate.application.execution import Service
from quorate.application.operations import (
    HANDLERS,
    Call,
    Handler,
    HandlerOfService,
    Reply,
    Streamed,
    too_large_for_nats,
)
from quorate.application.rate_limiter import (
    READ_RESERVE,
    Limit,
    allow_all,
    rate_limit_problem,
    reserve_for,
)
from quorate.application.request_metrics import OperationMetrics, RequestMetrics
from quorate.application.strict_json import body_too_large, parse
from quorate.application.tracing import HEADERS, Tracing
from quorate.bus.command_parser import THROTTLED, TOO_LARGE
from quorate.bus.command_tasks import CommandRequest, CommandResponse
from quorate.bus.subjects import CommandSubject
from quorate.contracts.message_fields import read_fields
from quorate.contracts.operations import BODY_BYTES_MAX, AnyOperation
from quorate.contracts.problems import RETRY_AFTER_SECONDS, Problem, body_of
from quorate.contracts.sessions.tool_inputs import PRESET_HEADER, SESSION_HEADER, TASK_HEADER
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.eventlog import pages
from quorate.projections.agent_names import AgentNames

IDEMPOTENCY_HEADER = "Idempotency-Key"
REQUEST_ID_HEADER = "X-Request-Id"
ERROR_STATUS_HEADER = "Nats-Service-Error-Code"
ERROR_CODE_HEADER = "Nats-Service-Error"
SEQUENCE_HEADER = "Quorate-Sequence"
MEDIA_HEADER = "Content-Type"  # Of a response that is a file.
OPERATION_LENGTH_SHOWN_MAX = 64  # In the log: the operation name is unchecked input.
# An agent may have several keys, and NATS does not pass on which one it connected with.
NO_KEY = ""
RATE_LIMITED = "rate_limited"
# Those that handlers read, as over HTTP.
_PASSED_ON = (SESSION_HEADER, TASK_HEADER, PRESET_HEADER)
_HEADERS_READ = {
    name.lower(): name for name in (IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, *_PASSED_ON, *HEADERS)
}


@record
class _Operation:
    endpoint: AnyOperation
    handler: Handler
    reserve: float
    metrics: OperationMetrics


class NatsCommandHandler:
    """Handles every command it receives; a failure becomes a problem response, not an exception."""

    def __init__(
        self,
        service: Service,
        names: AgentNames,
        endpoints: Sequence[AnyOperation],
        *,
        limit: Limit = allow_all,
        request_metrics: RequestMetrics | None = None,
        tracing: Tracing | None = None,
        handlers: Mapping[str, HandlerOfService] = HANDLERS,
    ) -> None:
        request_metrics = request_metrics or RequestMetrics()
        self._unknown = request_metrics.of("nats")
        self._tracing = tracing
        self._names = names
        self._limit = limit
        self.endpoints = endpoints
        self._operations = {
            endpoint.name: _Operation(
                endpoint=endpoint,
                handler=partial(handler_as_of(endpoint, handlers), service),
                reserve=reserve_for(endpoint),
                metrics=request_metrics.of("nats", endpoint.name),
            )
            for endpoint in endpoints
        }

    def handle(self, request: CommandRequest) -> Awaitable[CommandResponse]:
        headers = _read_headers(request.headers)
        log_entry = self._log_entry(request.sender, headers)
        call = Call({}, {})
        call.request_id, call.span = log_entry.request_id, log_entry.span
        call.page_bytes_max = pages.NATS_PAGE_BYTES_MAX
        call.response_bytes_max = request.response_bytes_max
        work: Awaitable[Reply | Streamed]
        try:
            operation = self._operation(request.sender)
            call.follow(operation.endpoint)
            _read(call, operation, request.sender, headers, request.body)
        except Exception as error:  # noqa: BLE001 - every failure becomes a response.
            work = _fail(error)
        else:
            work = self._execute(call, operation, request.sender)
        has_error = self._has_error_object(request.sender)
        known = self._operations.get(request.sender.operation)
        endpoint = None if known is None else known.endpoint
        return _respond(work, call, log_entry, endpoint, error_object=has_error)

    def is_urgent(self, subject: CommandSubject) -> bool:
        operation = self._operations.get(subject.operation)
        return operation is not None and operation.endpoint.urgent

    def _operation(self, subject: CommandSubject) -> _Operation:
        """Find the operation of a subject. The rate limit is checked before anything is parsed."""
        operation = self._operations.get(subject.operation)
        reserve = operation.reserve if operation is not None else READ_RESERVE
        self._limit(subject.tenant, subject.agent_id, reserve)
        if operation is None:
            raise Problem("not_found", "This operation does not exist.")
        return operation

    def _log_entry(self, subject: CommandSubject, headers: Mapping[str, str]) -> RequestLogEntry:
        operation = self._operations.get(subject.operation)
        log_entry = _log_entry(
            subject, headers, operation.metrics if operation is not None else self._unknown
        )
        if self._tracing is not None and operation is not None:
            log_entry.span = self._tracing.start_request("nats", operation.endpoint.name, headers)
        return log_entry

    def reject(self, request: CommandRequest) -> CommandResponse:
        operation = self._operations.get(request.sender.operation)
        metrics = operation.metrics if operation is not None else self._unknown
        metrics.count("unavailable")
        sent = _read_headers(request.headers).get(REQUEST_ID_HEADER)
        problem = unavailable("Too many commands are in progress.")
        return _problem_response(
            problem,
            request_id(sent.encode() if sent is not None else None),
            error_object=self._has_error_object(request.sender),
        )

    def fail(self, request: CommandRequest, error: Exception) -> CommandResponse:
        log_entry = self._log_entry(request.sender, _read_headers(request.headers))
        log_entry.record_failure("internal_error", error)
        has_error = self._has_error_object(request.sender)
        return _problem_response(internal_error(), log_entry.request_id, error_object=has_error)

    def _has_error_object(self, subject: CommandSubject) -> bool:
        operation = self._operations.get(subject.operation)
        return operation is not None and operation.endpoint.error_object

    async def _execute(
        self, call: Call, operation: _Operation, subject: CommandSubject
    ) -> Reply | Streamed:
        name = self._names.cached(subject.tenant, subject.agent_id)
        if name is None:
            name = await self._names.look_up(subject.tenant, subject.agent_id)
        if name is None:
            raise Problem("agent_not_found", "Agent not found.")
        call.principal = Principal(
            key_id=NO_KEY,
            role="agent",
            tenant=subject.tenant,
            agent_id=subject.agent_id,
            agent_name=name,
        )
        check_tenant(call.principal, call.body, call.query)
        return await operation.handler(call)


# -- Parsing -----------------------------------------------------------------


def _read_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the known headers. Names are case-insensitive, so no idempotency key is missed."""
    return {
        _HEADERS_READ[lower]: value
        for name, value in headers.items()
        if (lower := name.lower()) in _HEADERS_READ
    }


def _log_entry(
    subject: CommandSubject, headers: Mapping[str, str], metrics: OperationMetrics
) -> RequestLogEntry:
    sent = headers.get(REQUEST_ID_HEADER)
    fields = {
        "operation": subject.operation[:OPERATION_LENGTH_SHOWN_MAX],
        "tenant": subject.tenant,
        "agent": subject.agent_id,
    }
    return RequestLogEntry(
        "nats", fields, request_id(sent.encode() if sent is not None else None), metrics
    )


def _read(
    call: Call,
    operation: _Operation,
    subject: CommandSubject,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Fill the call from the headers and the body; raises Problem."""
    if body is THROTTLED:
        raise rate_limit_problem("key", RETRY_AFTER_SECONDS)
    if body is TOO_LARGE or len(body) > BODY_BYTES_MAX:
        raise body_too_large()
    values = parse(body) if body else {}
    fields = read_fields(
        operation.endpoint,
        values,
        own_id=subject.agent_id,
        key_in_header=headers.get(IDEMPOTENCY_HEADER),
    )
    call.path, call.body, call.query = fields.path, fields.body, fields.query
    call.headers = {
        name.lower().encode(): headers[name].encode() for name in _PASSED_ON if name in headers
    }
    if (key := fields.idempotency_key) is not None:
        call.headers = {**call.headers, b"idempotency-key": key.encode()}


# -- Responses ---------------------------------------------------------------


async def _fail(error: Exception) -> Reply:
    try:
        raise error
    finally:  # The error's traceback refers to this frame: a cycle would keep the request.
        del error


async def _respond(
    work: Awaitable[Reply | Streamed],
    call: Call,
    log_entry: RequestLogEntry,
    endpoint: AnyOperation | None,
    *,
    error_object: bool,
) -> CommandResponse:
    reply = await attempt(work, call, log_entry)
    if isinstance(reply, Problem):
        return _problem_response(reply, log_entry.request_id, error_object=error_object)
    assert isinstance(reply, Reply)
    assert endpoint is not None
    assert call.response_bytes_max is not None
    if len(reply.body) > call.response_bytes_max:
        problem = too_large_for_nats(endpoint, len(reply.body))
        log_entry.record_rejection(problem, call.principal)
        return _problem_response(problem, log_entry.request_id, error_object=error_object)
    log_entry.record_success(reply.status)
    headers = {name.decode().title(): value.decode() for name, value in reply.headers}
    if reply.media is not None:
        headers[MEDIA_HEADER] = reply.media.decode()
    if reply.sequence is not None:
        headers[SEQUENCE_HEADER] = str(reply.sequence)
    return CommandResponse(body=reply.body, headers=headers)


def _problem_response(
    problem: Problem, request_id: str, *, error_object: bool = False
) -> CommandResponse:
    headers = {
        **problem.headers,
        ERROR_STATUS_HEADER: str(problem.status),
        ERROR_CODE_HEADER: problem.code,
    }
    body = body_of(problem, request_id, error_object=error_object)
    is_throttled = problem.code == RATE_LIMITED
    return CommandResponse(body=body, headers=headers, is_throttled=is_throttled)
