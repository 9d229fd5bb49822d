"""One way through which every request goes, from a table that no route can escape.

An ``Endpoint`` says who may call it, what it takes, what it answers and how it can fail. ``Gate``
serves it: authenticate, check the role and the rate, read the body strictly, check the tenant, and
only then call the handler. The OpenAPI document and the tests of tenant isolation are made from
the same table, so a new endpoint is covered by itself.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from quorate.api.request_reader import (
    CREDENTIAL_HEADERS,
    collect,
    path_of,
    query_of,
    read_body,
    token_of,
)
from quorate.api.strict_json import parse
from quorate.api.whole_response import offered
from quorate.application.admission import (
    RequestLogEntry,
    attempt,
    check_tenant,
    request_id,
    validated,
)
from quorate.application.operations import (
    Call,
    Endpoint,
    Handler,
    Reply,
    Streamed,
)
from quorate.application.request_metrics import Tally
from quorate.application.tracing import HEADERS, Tracing
from quorate.contracts.problems import CONTENT_TYPE, Problem, problem_body
from quorate.domain.identity.api_keys import Principal
from quorate.runtime.asgi import Headers, Receive, Scope, Send

Authenticate: TypeAlias = Callable[[str, Scope], Awaitable[Principal | None]]

_JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PROBLEM: Headers = [(b"content-type", CONTENT_TYPE), *_JSON[1:]]


class Gate:
    """Serves one endpoint as an ASGI application."""

    def __init__(
        self,
        endpoint: Endpoint,
        handler: Handler,
        authenticate: Authenticate,
        limit: Callable[[Principal], None] = lambda _: None,
        *,
        tally: Tally | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """``limit`` raises Problem when somebody asks too often for this."""
        self.endpoint = endpoint
        self._tally = tally or Tally()
        self._tracing = tracing
        self._handler = handler
        self._authenticate = authenticate
        self._limit = limit
        self._no_query = endpoint.query() if endpoint.query is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        repeated = collect(scope["headers"], headers)
        told = _told(scope, self._tally)
        if self._tracing is not None:
            told.span = self._tracing.began("http", self.endpoint.name, _of_trace(headers))
        call = Call(path_of(scope), headers)
        call.request_id, call.receive, call.send = told.request_id, receive, send
        call.span = told.span
        call.urgent = self.endpoint.urgent
        reply = await attempt(self._serve(call, scope, repeated), call, told)
        if isinstance(reply, Problem):
            await _refuse(send, reply, told.request_id)
            return
        if isinstance(reply, Reply):
            await _answer(scope, send, reply, told.request_id)
        told.served(reply.status)

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
                    "role_forbidden", f"A key of role {call.principal.role} cannot do this."
                )
            self._limit(call.principal)
        if b"idempotency-key" in repeated:
            raise Problem("idempotency_key_invalid", "Send one Idempotency-Key.")
        if endpoint.body is not None:
            raw = await read_body(call.headers, call.receive)
            call.body = validated(endpoint.body, parse(raw))
        if endpoint.query is not None:
            raw_query = scope["query_string"]
            call.query = (
                validated(endpoint.query, query_of(raw_query)) if raw_query else self._no_query
            )
        if endpoint.roles:
            check_tenant(call.principal, call.body, call.query)

    async def _principal(
        self, headers: Mapping[bytes, bytes], repeated: frozenset[bytes], scope: Scope
    ) -> Principal:
        token = token_of(headers) if not repeated & CREDENTIAL_HEADERS else None
        principal = await self._authenticate(token, scope) if token is not None else None
        if principal is None:
            raise Problem(
                "unauthorized",
                "Send a valid key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                headers={"WWW-Authenticate": 'Bearer realm="quorate"'},
            )
        return principal


def _told(scope: Scope, tally: Tally) -> RequestLogEntry:
    where = {"method": scope["method"], "path": scope["path"]}
    return RequestLogEntry("http", where, request_id(_sent_id(scope["headers"])), tally)


def _of_trace(headers: Mapping[bytes, bytes]) -> dict[str, str]:
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


# -- Answering ---------------------------------------------------------------


async def _answer(scope: Scope, send: Send, reply: Reply, told_id: str) -> None:
    headers = [
        *(_JSON if reply.media is None else [(b"content-type", reply.media), *_JSON[1:]]),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", told_id.encode()),
        *reply.headers,
    ]
    if reply.sequence is not None:
        headers.append((b"quorate-sequence", b"%d" % reply.sequence))
    whole = offered(scope)
    if whole is not None and whole(reply.status, headers, reply.body):
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _refuse(send: Send, problem: Problem, told_id: str) -> None:
    body = problem_body(problem.code, problem.detail, problem.facts, told_id)
    headers = [
        *_PROBLEM,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", told_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Scope, send: Send, problem: Problem, tally: Tally) -> None:
    """Answer a request that belongs to no endpoint."""
    told = _told(scope, tally)
    told.refused(problem, None)
    await _refuse(send, problem, told.request_id)
