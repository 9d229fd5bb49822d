"""Admit HTTP requests to one operation: the only way from a request to a handler.

* ``HttpAdmission`` authenticates, checks the role and the rate limit, and only then reads the body
  and parses it strictly. The caller of ``read`` validates the result with the declared models.
* ``OperationRoute`` (FastAPI) and ``FastOperation`` (the fast lane) both use it, so a request is
  admitted, logged, counted and traced in the same way on both paths.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from quorate.api.request_reader import (
    CREDENTIAL_HEADERS,
    collect_headers,
    parse_query,
    read_body,
    read_token,
)
from quorate.application.admission import RequestLogEntry, request_id
from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint
from quorate.application.rate_limiter import caller_of, reserve_for
from quorate.application.request_metrics import OperationMetrics
from quorate.application.strict_json import parse
from quorate.application.tracing import HEADERS, Tracing
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Headers, Receive, Scope

Authenticate: TypeAlias = Callable[[str, Scope], Awaitable[Principal | None]]


class Started(NamedTuple):
    """A request that is logged, but not yet admitted."""

    call: Call
    log_entry: RequestLogEntry
    repeated_headers: frozenset[bytes]


class Parsed(NamedTuple):
    """The JSON object of a body and the parameters of a query, not yet validated."""

    body: dict[str, Any] | None
    query: dict[str, str]


class HttpAdmission:
    """Admits the requests to one operation."""

    def __init__(
        self,
        operation: Endpoint,
        authenticate: Authenticate,
        limit: Callable[[Principal], None] = lambda _: None,
        *,
        metrics: OperationMetrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """``limit`` raises Problem when the caller exceeds its rate limit."""
        self.operation = operation
        self._metrics = metrics or OperationMetrics()
        self._tracing = tracing
        self._authenticate = authenticate
        self._limit = limit

    def start(self, scope: Scope, ids: Mapping[str, str], receive: Receive) -> Started:
        """Begin the log entry and the span of a request; ``ids`` are those in its path."""
        headers: dict[bytes, bytes] = {}
        repeated = collect_headers(scope["headers"], headers)
        log_entry = start_log_entry(scope, self._metrics)
        if self._tracing is not None:
            log_entry.span = self._tracing.start_request(
                "http", self.operation.name, _trace_headers(headers)
            )
        call = Call(ids, headers)
        call.request_id, call.receive = log_entry.request_id, receive
        call.span = log_entry.span
        call.urgent = self.operation.urgent
        return Started(call, log_entry, repeated)

    async def read(self, call: Call, scope: Scope, repeated: frozenset[bytes]) -> Parsed:
        """Admit the caller, then read and parse the request; raise Problem."""
        operation = self.operation
        if operation.roles:
            call.principal = await self._principal(call.headers, repeated, scope)
            if call.principal.role not in operation.roles:
                raise Problem(
                    "role_forbidden",
                    f"Keys of role {call.principal.role} may not call this operation.",
                )
            self._limit(call.principal)
        if b"idempotency-key" in repeated:
            raise Problem("idempotency_key_invalid", "Send Idempotency-Key only once.")
        body = None
        if operation.body is not None:
            body = parse(await read_body(call.headers, call.receive))
        raw_query = scope["query_string"] if operation.query is not None else b""
        return Parsed(body, parse_query(raw_query) if raw_query else {})

    async def _principal(
        self, headers: Mapping[bytes, bytes], repeated: frozenset[bytes], scope: Scope
    ) -> Principal:
        token = read_token(headers) if not repeated & CREDENTIAL_HEADERS else None
        principal = await self._authenticate(token, scope) if token is not None else None
        if principal is None:
            raise Problem(
                "unauthorized",
                "Send a valid key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                headers={"WWW-Authenticate": 'Bearer realm="quorate"'},
            )
        return principal


def admission_for(service: Service, operation: Endpoint) -> HttpAdmission:
    """Connect one operation with the authentication, limits, metrics and traces of a service."""
    check, reserve = service.rate_limiter.check, reserve_for(operation)

    def limit(principal: Principal) -> None:
        check(principal.tenant, caller_of(principal), reserve)

    return HttpAdmission(
        operation,
        service.failed_login_limiter.authenticate_http,
        limit,
        metrics=service.request_metrics.of("http", operation.name, timed=not operation.streams),
        # Monitoring calls public operations every few seconds, and a stream lasts for hours.
        tracing=service.tracing if operation.roles and not operation.streams else None,
    )


def start_log_entry(scope: Scope, metrics: OperationMetrics) -> RequestLogEntry:
    fields = {"method": scope["method"], "path": scope["path"]}
    return RequestLogEntry("http", fields, request_id(_sent_id(scope["headers"])), metrics)


def _trace_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name: value.decode("latin-1")
        for name in HEADERS
        if (value := headers.get(name.encode())) is not None
    }


def _sent_id(headers: Headers) -> bytes | None:
    for name, value in headers:
        if name == b"x-request-id":
            return value
    return None
