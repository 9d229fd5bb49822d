"""Admit HTTP requests to one operation: the only way from a request to a handler.

* ``HttpAdmission`` authenticates, checks the role and the rate limit, and only then reads the body,
  parses it strictly, validates it with the declared model and checks the tenant.
* ``OperationRoute`` (FastAPI) and ``FastOperation`` (the fast lane) both use it, so a request is
  admitted, logged, counted and traced in the same way on both paths.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel

from quorate.api.connection_owner import claim_connection, prolong_body, slow_down
from quorate.api.large_bodies import (
    CALLER_BYTES_MAX,
    NOTHING_RESERVED,
    CallerReservation,
    LargeBodies,
    Reservation,
)
from quorate.api.request_reader import (
    CREDENTIAL_HEADERS,
    BodyReader,
    collect_headers,
    parse_query,
    read_token,
)
from quorate.application.admission import RequestLogEntry, check_tenant, request_id
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.application.rate_limiter import Allowance, caller_of, reserve_for
from quorate.application.request_metrics import OperationMetrics, RequestMetrics
from quorate.application.strict_json import parse
from quorate.application.tracing import HEADERS, Tracing
from quorate.contracts.operations import BODY_BYTES_MAX, AnyOperation
from quorate.contracts.problems import Problem
from quorate.contracts.validation import validate
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Headers, Receive, Scope

Authenticate: TypeAlias = Callable[[str, Scope], Awaitable[Principal | None]]


class Started(NamedTuple):
    """A request that is logged, but not yet admitted."""

    call: Call
    log_entry: RequestLogEntry
    repeated_headers: frozenset[bytes]


class HttpAdmission:
    """Admits the requests to one operation."""

    def __init__(
        self,
        operation: AnyOperation,
        authenticate: Authenticate,
        limit: Callable[[Principal], Allowance] = lambda _: (),
        *,
        metrics: OperationMetrics | None = None,
        tracing: Tracing | None = None,
        large_bodies: LargeBodies | None = None,
    ) -> None:
        """``limit`` raises Problem when the caller exceeds its rate limit.

        It returns the headers that tell the caller how many more requests are accepted.
        """
        self.operation = operation
        self._metrics = metrics or RequestMetrics().of("http", operation.name)
        self._tracing = tracing
        self._authenticate = authenticate
        self._no_query = _default_query(operation.query)
        self._limit = limit
        is_optional = operation.body is not None and operation.body_optional
        self._no_body = operation.body() if operation.body and is_optional else None
        self._body_reader = BodyReader(
            bytes_max=operation.body_bytes_max,
            media=operation.body_media,
            is_optional=is_optional,
        )
        assert operation.body_bytes_max <= CALLER_BYTES_MAX, f"{operation.name}: never accepted"
        self._has_large_bodies = operation.body_bytes_max > BODY_BYTES_MAX
        self._large_bodies = large_bodies or LargeBodies()

    def reserve(self, call: Call, scope: Scope) -> Reservation:
        """Return what counts the bytes of the body; the caller releases it after the request."""
        if not self._has_large_bodies:
            return NOTHING_RESERVED
        return CallerReservation(self._large_bodies, call, partial(prolong_body, scope))

    def start(self, scope: Scope, ids: Mapping[str, str], receive: Receive) -> Started:
        """Begin the log entry and the span of a request; ``ids`` are those in its path."""
        headers: dict[bytes, bytes] = {}
        repeated = collect_headers(scope["headers"], headers)
        log_entry = start_log_entry(scope, self._metrics)
        if self._tracing is not None:
            log_entry.span = self._tracing.start_request(
                "http", self.operation.name, trace_headers(headers)
            )
        call = Call(ids, headers)
        call.request_id, call.receive = log_entry.request_id, receive
        call.span = log_entry.span
        call.follow(self.operation)
        return Started(call, log_entry, repeated)

    async def admit(
        self,
        call: Call,
        scope: Scope,
        repeated: frozenset[bytes],
        reservation: Reservation = NOTHING_RESERVED,
    ) -> None:
        """Admit the caller, then read, parse and validate the request into ``call``.

        Raises Problem.
        """
        operation = self.operation
        if operation.roles:
            call.principal = await require_principal(
                self._authenticate, call.headers, repeated, scope
            )
            call.allowance = self._allowance_of(call.principal, scope)
            require_role(operation, call.principal)
        if b"idempotency-key" in repeated:
            raise Problem("idempotency_key_invalid", "Send Idempotency-Key only once.")
        if operation.has_body:
            body = await self._body_reader.read(call.headers, call.receive, reservation)
            call.body = self._model_of(body, operation.body)
        if operation.query is not None:
            query = parse_query(raw) if (raw := scope["query_string"]) else None
            has_default = not query and self._no_query is not None
            call.query = self._no_query if has_default else validate(operation.query, query or {})
        if operation.roles:
            check_tenant(call.principal, call.body, call.query)

    def _allowance_of(self, principal: Principal, scope: Scope) -> Allowance:
        try:
            return self._limit(principal)
        except Problem as problem:
            if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
                slow_down(scope)
            raise

    def _model_of(self, body: bytes, model: type[BaseModel] | None) -> BaseModel | bytes:
        """Return what the handler gets; raises Problem."""
        if model is None:
            return body
        if not body and self._no_body is not None:
            return self._no_body
        return validate(model, parse(body))


async def require_principal(
    authenticate: Authenticate,
    headers: Mapping[bytes, bytes],
    repeated: frozenset[bytes],
    scope: Scope,
) -> Principal:
    """Return who sends a request, and count its connection; raise Problem without a valid key."""
    token = read_token(headers) if not repeated & CREDENTIAL_HEADERS else None
    principal = await authenticate(token, scope) if token is not None else None
    if principal is None:
        raise Problem(
            "unauthorized",
            "Send a valid key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
            headers={"WWW-Authenticate": 'Bearer realm="quorate"'},
        )
    claim_connection(scope, principal)
    return principal


def require_role(operation: AnyOperation, principal: Principal) -> None:
    """Raise Problem unless keys of this role may call the operation."""
    if principal.role not in operation.roles:
        raise Problem(
            "role_forbidden",
            f"Keys of role {principal.role} may not call this operation.",
            role=principal.role,
        )


def admission_for(
    service: Service, operation: AnyOperation, large_bodies: LargeBodies | None = None
) -> HttpAdmission:
    """Connect one operation with the authentication, limits, metrics and traces of a service."""
    check, reserve = service.tenant_access.check, reserve_for(operation)

    def limit(principal: Principal) -> Allowance:
        return check(principal.tenant, caller_of(principal), reserve)

    return HttpAdmission(
        operation,
        service.failed_login_limiter.authenticate_http,
        limit,
        metrics=service.request_metrics.of("http", operation.name, timed=not operation.streams),
        # Monitoring calls public operations every few seconds, and a stream lasts for hours.
        tracing=service.tracing if operation.roles and not operation.streams else None,
        large_bodies=large_bodies,
    )


def start_log_entry(scope: Scope, metrics: OperationMetrics) -> RequestLogEntry:
    fields = {"method": scope["method"], "path": scope["path"]}
    return RequestLogEntry("http", fields, request_id(sent_id(scope["headers"])), metrics)


def trace_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name: value.decode("latin-1")
        for name in HEADERS
        if (value := headers.get(name.encode())) is not None
    }


def sent_id(headers: Headers) -> bytes | None:
    for name, value in headers:
        if name == b"x-request-id":
            return value
    return None


def _default_query(model: type[BaseModel] | None) -> BaseModel | None:
    """Return the query of a request without parameters; None if the operation requires one."""
    if model is None or any(one.is_required() for one in model.model_fields.values()):
        return None
    return model()
