"""Serve one endpoint of the operation registry over HTTP.

* An ``Operation`` declares the roles that may call it, its request, its response and its problems.
* ``EndpointApp`` authenticates, checks the role and the rate limit, parses the body strictly and
  checks the tenant. Only then does it call the handler.
* Every HTTP request to an operation takes this path. The OpenAPI document and the tests of tenant
  isolation are generated from the same registry, so they cover a new endpoint automatically.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from quorate.api.request_reader import (
    CREDENTIAL_HEADERS,
    collect_headers,
    parse_query,
    read_body,
    read_path_ids,
    read_token,
)
from quorate.api.response_writer import find_single_write
from quorate.application.admission import (
    RequestLogEntry,
    attempt,
    check_tenant,
    request_id,
    validate,
)
from quorate.application.operations import Call, Handler, Reply, Streamed
from quorate.application.request_metrics import OperationMetrics, RequestMetrics
from quorate.application.strict_json import parse
from quorate.application.tracing import HEADERS, Tracing
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import CONTENT_TYPE, Problem, problem_body
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Headers, Receive, Scope, Send

Authenticate: TypeAlias = Callable[[str, Scope], Awaitable[Principal | None]]

_JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PROBLEM: Headers = [(b"content-type", CONTENT_TYPE), *_JSON[1:]]


class EndpointApp:
    """An ASGI application that serves one endpoint."""

    def __init__(
        self,
        endpoint: AnyOperation,
        handler: Handler,
        authenticate: Authenticate,
        limit: Callable[[Principal], None] = lambda _: None,
        *,
        metrics: OperationMetrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """``limit`` raises Problem when the caller exceeds its rate limit."""
        self.endpoint = endpoint
        self._metrics = metrics or RequestMetrics().of("http")
        self._tracing = tracing
        self._handler = handler
        self._authenticate = authenticate
        self._limit = limit
        self._no_query = endpoint.query() if endpoint.query is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        repeated = collect_headers(scope["headers"], headers)
        log_entry = _log_entry(scope, self._metrics)
        if self._tracing is not None:
            log_entry.span = self._tracing.start_request(
                "http", self.endpoint.name, _trace_headers(headers)
            )
        call = Call(read_path_ids(scope), headers)
        call.request_id, call.receive, call.send = log_entry.request_id, receive, send
        call.span = log_entry.span
        call.urgent = self.endpoint.urgent
        reply = await attempt(self._serve(call, scope, repeated), call, log_entry)
        if isinstance(reply, Problem):
            await _send_problem(send, reply, log_entry.request_id)
            return
        if isinstance(reply, Reply):
            await _send_reply(scope, send, reply, log_entry.request_id)
        log_entry.record_success(reply.status)

    async def _serve(
        self, call: Call, scope: Scope, repeated: frozenset[bytes]
    ) -> Reply | Streamed:
        await self._admit(call, scope, repeated)
        return await self._handler(call)

    async def _admit(self, call: Call, scope: Scope, repeated: frozenset[bytes]) -> None:
        endpoint = self.endpoint
        if endpoint.roles:
            call.principal = await self._principal(call.headers, repeated, scope)
            if call.principal.role not in endpoint.roles:
                raise Problem(
                    "role_forbidden",
                    f"Keys of role {call.principal.role} may not call this operation.",
                )
            self._limit(call.principal)
        if b"idempotency-key" in repeated:
            raise Problem("idempotency_key_invalid", "Send Idempotency-Key only once.")
        if endpoint.body is not None:
            raw = await read_body(call.headers, call.receive)
            call.body = validate(endpoint.body, parse(raw))
        if endpoint.query is not None:
            raw_query = scope["query_string"]
            call.query = (
                validate(endpoint.query, parse_query(raw_query)) if raw_query else self._no_query
            )
        if endpoint.roles:
            check_tenant(call.principal, call.body, call.query)

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


def _log_entry(scope: Scope, metrics: OperationMetrics) -> RequestLogEntry:
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


# -- Responses ---------------------------------------------------------------


async def _send_reply(scope: Scope, send: Send, reply: Reply, request_id: str) -> None:
    headers = [
        *(_JSON if reply.media is None else [(b"content-type", reply.media), *_JSON[1:]]),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
        *reply.headers,
    ]
    if reply.sequence is not None:
        headers.append((b"quorate-sequence", b"%d" % reply.sequence))
    write_response = find_single_write(scope)
    if write_response is not None and write_response(reply.status, headers, reply.body):
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _send_problem(send: Send, problem: Problem, request_id: str) -> None:
    body = problem_body(problem.code, problem.detail, problem.details, request_id)
    headers = [
        *_PROBLEM,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def reject_unrouted(
    scope: Scope, send: Send, problem: Problem, metrics: OperationMetrics
) -> None:
    """Send a problem for a request that matches no endpoint."""
    log_entry = _log_entry(scope, metrics)
    log_entry.record_rejection(problem, None)
    await _send_problem(send, problem, log_entry.request_id)
