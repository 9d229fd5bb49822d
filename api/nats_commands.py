"""What agents ask for over NATS: rows of the table of endpoints, served by the same handlers.

* Every row that an agent's key may call is served here under its name, unless it streams or is
  about the key itself. So a new endpoint is a new operation, and nothing else is one.
* One JSON object stands for body or query and for the ids of the path. It is read as strictly as
  over HTTP, by the same models; the caller is the agent of the subject.
* What is answered, refused, replayed and recorded is the same, whichever way it was asked: an
  idempotency key that was used over HTTP counts here as well.
* A command is read when it comes; while it is carried out, nothing is kept of the message. One
  that comes too often is not even read.
"""

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic.alias_generators import to_camel

from quorate.api.request_reader import is_id, too_large
from quorate.api.routes import ENDPOINTS
from quorate.api.strict_json import BODY_BYTES_MAX, parse
from quorate.application.admission import (
    RequestLogEntry,
    attempt,
    check_tenant,
    request_id,
    unavailable,
    validated,
)
from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Handler, Reply, Streamed, path_parameters
from quorate.application.rate_limiter import KEPT_BY_READS, Limit, kept_by, unlimited
from quorate.application.request_metrics import Tallies, Tally
from quorate.application.tracing import HEADERS, Tracing
from quorate.bus.command_dispatch import Answered, Asked
from quorate.bus.subjects import Commanded
from quorate.contracts.problems import Problem, problem_body
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.records import record
from quorate.projections.agent_names import AgentNames

IDEMPOTENCY_HEADER = "Idempotency-Key"
IDEMPOTENCY_FIELD = "idempotencyKey"
REQUEST_ID_HEADER = "X-Request-Id"
ERROR_STATUS_HEADER = "Nats-Service-Error-Code"
ERROR_CODE_HEADER = "Nats-Service-Error"
SEQUENCE_HEADER = "Quorate-Sequence"
ITSELF = "agent_id"  # The id that an agent may leave out.
OPERATION_SHOWN_MAX = 64  # In the log: it is whatever somebody sent.
NO_KEY = ""  # An agent may have several; which of them it connected with, we are not told.
_HEADERS_READ = {name.lower(): name for name in (IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, *HEADERS)}


# The rows that are served. Each is asked for by its name.
SERVED: tuple[Endpoint, ...] = tuple(
    endpoint
    for endpoint in ENDPOINTS
    if "agent" in endpoint.roles and not endpoint.streams and not endpoint.of_key
)


def ids_of(endpoint: Endpoint) -> Mapping[str, str]:
    """The parameters of its path, each with its name in a message."""
    return {name: to_camel(name) for name in path_parameters(endpoint)}


@record
class _Operation:
    endpoint: Endpoint
    handler: Handler
    ids: Mapping[str, str]
    kept_share: float
    tally: Tally


class OverNats:
    """Answers every command that it is handed, and raises nothing."""

    def __init__(
        self,
        service: Service,
        names: AgentNames,
        endpoints: Sequence[Endpoint] = SERVED,
        *,
        limit: Limit = unlimited,
        tallies: Tallies | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        tallies = tallies or Tallies()
        self._unknown = tallies.of("nats")
        self._tracing = tracing
        self._names = names
        self._limit = limit
        self._operations = {
            endpoint.name: _Operation(
                endpoint=endpoint,
                handler=partial(endpoint.handler, service),
                ids=ids_of(endpoint),
                kept_share=kept_by(endpoint),
                tally=tallies.of("nats", endpoint.name),
            )
            for endpoint in endpoints
        }

    def answer(self, asked: Asked) -> Awaitable[Answered]:
        headers = _read_headers(asked.headers)
        told = self._told(asked.who, headers)
        call = Call({}, {})
        call.request_id, call.span = told.request_id, told.span
        work: Awaitable[Reply | Streamed]
        try:
            operation = self._operation(asked.who)
            call.urgent = operation.endpoint.urgent
            _read(call, operation, asked.who, headers, asked.body)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered.
            work = _raised(error)
        else:
            work = self._carry_out(call, operation, asked.who)
        return _answered(work, call, told, asked.answer_bytes_max)

    def is_urgent(self, who: Commanded) -> bool:
        operation = self._operations.get(who.operation)
        return operation is not None and operation.endpoint.urgent

    def _operation(self, who: Commanded) -> _Operation:
        """What is asked for, unless too often: that is found out before anything is read."""
        operation = self._operations.get(who.operation)
        kept_share = operation.kept_share if operation is not None else KEPT_BY_READS
        self._limit(who.tenant, who.agent_id, kept_share)
        if operation is None:
            raise Problem("not_found", "There is no such operation.")
        return operation

    def _told(self, who: Commanded, headers: Mapping[str, str]) -> RequestLogEntry:
        operation = self._operations.get(who.operation)
        told = _told(who, headers, operation.tally if operation is not None else self._unknown)
        if self._tracing is not None and operation is not None:
            told.span = self._tracing.began("nats", operation.endpoint.name, headers)
        return told

    def refuse(self, asked: Asked) -> Answered:
        operation = self._operations.get(asked.who.operation)
        tally = operation.tally if operation is not None else self._unknown
        tally.outcomes["unavailable"] += 1
        sent = _read_headers(asked.headers).get(REQUEST_ID_HEADER)
        problem = unavailable("Too many commands are under way.")
        return _refusal(problem, request_id(sent.encode() if sent is not None else None))

    async def _carry_out(
        self, call: Call, operation: _Operation, who: Commanded
    ) -> Reply | Streamed:
        name = self._names.remembered(who.tenant, who.agent_id)
        if name is None:
            name = await self._names.look_up(who.tenant, who.agent_id)
        if name is None:
            raise Problem("agent_not_found", "No such agent.")
        call.principal = Principal(
            key_id=NO_KEY,
            role="agent",
            tenant=who.tenant,
            agent_id=who.agent_id,
            agent_name=name,
        )
        check_tenant(call.principal, call.body, call.query)
        return await operation.handler(call)


# -- Reading -----------------------------------------------------------------


def _read_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Those that mean something, whatever their case: an idempotency key must not be overlooked."""
    return {
        _HEADERS_READ[lower]: value
        for name, value in headers.items()
        if (lower := name.lower()) in _HEADERS_READ
    }


def _told(who: Commanded, headers: Mapping[str, str], tally: Tally) -> RequestLogEntry:
    sent = headers.get(REQUEST_ID_HEADER)
    where = {"operation": who.operation[:OPERATION_SHOWN_MAX], "agent_id": who.agent_id}
    return RequestLogEntry(
        "nats", where, request_id(sent.encode() if sent is not None else None), tally
    )


def _read(
    call: Call,
    operation: _Operation,
    who: Commanded,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Fill the call from what was sent; raises Problem."""
    if len(body) > BODY_BYTES_MAX:
        raise too_large()
    values = parse(body) if body else {}
    endpoint = operation.endpoint
    key = headers.get(IDEMPOTENCY_HEADER)
    if endpoint.command:
        key = _one_key(key, values.pop(IDEMPOTENCY_FIELD, None))
        if key is not None:
            call.headers = {b"idempotency-key": key.encode()}
    if operation.ids:
        own = {ITSELF: who.agent_id}
        call.path = {
            name: _id(values.pop(field, own.get(name)), field)
            for name, field in operation.ids.items()
        }
    if endpoint.body is not None:
        call.body = validated(endpoint.body, values)
    elif endpoint.query is not None:
        # Its numbers need not be read from text here.
        call.query = validated(endpoint.query, values, strict=True)


def _one_key(in_header: str | None, in_field: Any) -> str | None:  # noqa: ANN401 - JSON.
    if in_field is None:
        return in_header
    if not isinstance(in_field, str) or in_header not in {None, in_field}:
        raise Problem("idempotency_key_invalid", "Send one idempotency key, as text.")
    return in_field


def _id(value: Any, field: str) -> str:  # noqa: ANN401 - whatever JSON can say.
    """As in a path: what no id of ours can be is as unknown as any other."""
    if value is None:
        raise Problem("invalid_request", f"{field}: Field required")
    if not isinstance(value, str):
        raise Problem("invalid_request", f"{field}: Input should be a valid string")
    return value if is_id(value) else ""


# -- Answering ---------------------------------------------------------------


async def _raised(error: Exception) -> Reply:
    raise error


async def _answered(
    work: Awaitable[Reply | Streamed], call: Call, told: RequestLogEntry, bytes_max: int
) -> Answered:
    reply = await attempt(work, call, told)
    if isinstance(reply, Problem):
        return _refusal(reply, told.request_id)
    assert isinstance(reply, Reply)
    if len(reply.body) > bytes_max:
        problem = Problem("invalid_request", "limit: The answer is too large for one message.")
        told.refused(problem, call.principal)
        return _refusal(problem, told.request_id)
    told.served(reply.status)
    headers = {name.decode().title(): value.decode() for name, value in reply.headers}
    if reply.sequence is not None:
        headers[SEQUENCE_HEADER] = str(reply.sequence)
    return Answered(body=reply.body, headers=headers)


def _refusal(problem: Problem, told_id: str) -> Answered:
    headers = {
        **problem.headers,
        ERROR_STATUS_HEADER: str(problem.status),
        ERROR_CODE_HEADER: problem.code,
    }
    body = problem_body(problem.code, problem.detail, problem.facts, told_id)
    return Answered(body=body, headers=headers)
