"""One way through which every request goes, from a table that no route can escape.

An ``Endpoint`` says who may call it, what it takes, what it answers and how it can fail. ``Gate``
serves it: authenticate, check the role, read the body strictly, check the tenant, and only then
call the handler. The OpenAPI document and the tests of tenant isolation are made from the same
table, so a new endpoint is covered by itself.
"""

import itertools
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import structlog
from pydantic import BaseModel, ValidationError

from quorate.api.asgi import Headers, Receive, Scope, Send
from quorate.api.bodies import parse
from quorate.api.problems import (
    CONTENT_TYPE,
    KINDS,
    RETRY_AFTER_SECONDS,
    Problem,
    problem_body,
)
from quorate.api.reading import (
    CREDENTIAL_HEADERS,
    collect,
    path_of,
    query_of,
    read_body,
    token_of,
)
from quorate.api.whole_answers import offered
from quorate.domain.keys import Principal, Role
from quorate.domain.record import record
from quorate.eventlog.order import Unavailable
from quorate.eventlog.session import Broken

REQUEST_ID_LENGTH_MAX = 64
FAULTS_SHOWN_MAX = 10

Authenticate: TypeAlias = Callable[[str], Awaitable[Principal | None]]

_logger = structlog.get_logger("quorate.http")
_JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PROBLEM: Headers = [(b"content-type", CONTENT_TYPE), *_JSON[1:]]


class Call:
    """One request, once it has passed the gate."""

    __slots__ = ("body", "headers", "path", "principal", "query", "receive", "request_id", "send")

    def __init__(self, path: Mapping[str, str], headers: Mapping[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.principal: Any = None  # A Principal, except on public endpoints.
        self.body: Any = None  # An instance of the endpoint's body model.
        self.query: Any = None  # An instance of the endpoint's query model.
        self.request_id = ""
        self.receive: Receive
        self.send: Send


@record
class Reply:
    body: bytes
    sequence: int | None = None  # The tenant's head that the answer reflects.
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media: bytes | None = None  # Other than JSON.


class Streamed:
    """The handler has answered by itself, over ``call.send``."""


Handler: TypeAlias = Callable[[Call], Awaitable[Reply | Streamed]]


@record
class Endpoint:
    """A row of the table. No roles means public: no key is asked for."""

    method: str
    path: str
    name: str
    summary: str
    roles: frozenset[Role] = frozenset()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None  # A TypedDict, or a list of one.
    problems: Sequence[str] = ()
    command: bool = False  # Takes an Idempotency-Key.
    streams: bool = False
    handler: Callable[[Any, Call], Awaitable[Reply | Streamed]]  # Takes the service first.


class Gate:
    """Serves one endpoint as an ASGI application."""

    def __init__(self, endpoint: Endpoint, handler: Handler, authenticate: Authenticate) -> None:
        self.endpoint = endpoint
        self._handler = handler
        self._authenticate = authenticate
        self._no_query = endpoint.query() if endpoint.query is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: dict[bytes, bytes] = {}
        request_id = _request_id(scope["headers"])
        log = _Log(scope, request_id, started)
        repeated = collect(scope["headers"], headers)
        call = Call(path_of(scope), headers)
        call.request_id, call.receive, call.send = request_id, receive, send
        try:
            await self._admit(call, scope, repeated)
            reply = await self._handler(call)
        except Problem as problem:
            log.refused(problem, call.principal)  # Before the answer: who has it can look it up.
            await _refuse(send, problem, request_id)
        except (Unavailable, Broken) as error:
            log.failed("http.unavailable", error)
            await _refuse(send, _unavailable(str(error)), request_id)
        except Exception as error:  # noqa: BLE001 - the last line of defence.
            failure = Problem("internal_error", "Our own code failed; it has been logged.")
            log.failed("http.internal_error", error)
            await _refuse(send, failure, request_id)
        else:
            if isinstance(reply, Reply):
                await _answer(scope, send, reply, request_id)
            log.served(reply)

    async def _admit(self, call: Call, scope: Scope, repeated: frozenset[bytes]) -> None:
        endpoint = self.endpoint
        if endpoint.roles:
            call.principal = await self._principal(call.headers, repeated)
            if call.principal.role not in endpoint.roles:
                raise Problem(
                    "role_forbidden", f"A key of role {call.principal.role} cannot do this."
                )
        if b"idempotency-key" in repeated:
            raise Problem("idempotency_key_invalid", "Send one Idempotency-Key.")
        if endpoint.body is not None:
            raw = await read_body(call.headers, call.receive)
            call.body = _validated(endpoint.body, parse(raw))
        if endpoint.query is not None:
            raw_query = scope["query_string"]
            call.query = (
                _validated(endpoint.query, query_of(raw_query)) if raw_query else self._no_query
            )
        if endpoint.roles:
            _check_tenant(call)

    async def _principal(
        self, headers: Mapping[bytes, bytes], repeated: frozenset[bytes]
    ) -> Principal:
        token = token_of(headers) if not repeated & CREDENTIAL_HEADERS else None
        principal = await self._authenticate(token) if token is not None else None
        if principal is None:
            raise Problem(
                "unauthorized",
                "Send a valid key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                headers={"WWW-Authenticate": 'Bearer realm="quorate"'},
            )
        return principal


# -- Checking ----------------------------------------------------------------


def _validated(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [
            {"field": ".".join(str(part) for part in fault["loc"])[:100], "why": fault["msg"]}
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ][:FAULTS_SHOWN_MAX]
        named = f"{faults[0]['field']}: {faults[0]['why']}" if faults else "The request is invalid."
        raise Problem("invalid_request", named, errors=faults) from None


def _check_tenant(call: Call) -> None:
    """A tenant that is named must be the key's own; an operator's key is of no tenant."""
    in_query = getattr(call.query, "tenant_id", None)
    in_body = getattr(call.body, "tenant_id", None)
    if in_query is not None and in_body is not None and in_query != in_body:
        raise Problem("tenant_ambiguous", "The body and the query name different tenants.")
    named = in_query or in_body
    if named is not None and call.principal.role != "admin" and named != call.principal.tenant:
        raise Problem("tenant_forbidden", "The key belongs to another tenant.")


# -- Answering ---------------------------------------------------------------


async def _answer(scope: Scope, send: Send, reply: Reply, request_id: str) -> None:
    headers = [
        *(_JSON if reply.media is None else [(b"content-type", reply.media), *_JSON[1:]]),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
        *reply.headers,
    ]
    if reply.sequence is not None:
        headers.append((b"quorate-sequence", b"%d" % reply.sequence))
    whole = offered(scope)
    if whole is not None and whole(reply.status, headers, reply.body):
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _refuse(send: Send, problem: Problem, request_id: str) -> None:
    body = problem_body(problem.code, problem.detail, problem.facts, request_id)
    headers = [
        *_PROBLEM,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Scope, send: Send, problem: Problem) -> None:
    """Answer a request that belongs to no endpoint."""
    request_id = _request_id(scope["headers"])
    _Log(scope, request_id, time.perf_counter()).refused(problem, None)
    await _refuse(send, problem, request_id)


def _unavailable(detail: str) -> Problem:
    return Problem("unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


# -- Telling -----------------------------------------------------------------

_PROCESS = os.urandom(4).hex()
_COUNT = itertools.count(1)


def _request_id(headers: Headers) -> str:
    """The caller's own id where it can be trusted in a log line, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _is_plain(value):
            return value.decode("ascii")
    return f"{_PROCESS}-{next(_COUNT):x}"


def _is_plain(value: bytes) -> bool:
    plain = value.replace(b"-", b"").replace(b"_", b"")
    return 0 < len(value) <= REQUEST_ID_LENGTH_MAX and plain.isalnum()


class _Log:
    """One line a request. What succeeded is in the event log; here it is a line for debugging."""

    __slots__ = ("_request_id", "_scope", "_started")

    def __init__(self, scope: Scope, request_id: str, started: float) -> None:
        self._scope = scope
        self._request_id = request_id
        self._started = started

    def _facts(self) -> dict[str, Any]:
        return {
            "method": self._scope["method"],
            "path": self._scope["path"],
            "request_id": self._request_id,
            "milliseconds": round((time.perf_counter() - self._started) * 1_000, 3),
        }

    def served(self, reply: Reply | Streamed) -> None:
        if _logger.is_enabled_for(10):
            status = reply.status if isinstance(reply, Reply) else 200
            _logger.debug("http.served", status=status, **self._facts())

    def refused(self, problem: Problem, principal: Principal | None) -> None:
        key_id = principal.key_id if principal is not None else None
        facts = self._facts()
        _logger.info(
            "http.refused", status=problem.status, code=problem.code, key_id=key_id, **facts
        )

    def failed(self, event: str, error: BaseException) -> None:
        _logger.error(event, exc_info=error, **self._facts())


def known_codes(endpoint: Endpoint) -> frozenset[str]:
    """Every code with which this endpoint may answer."""
    codes = {"internal_error", "unavailable", "not_found", "method_not_allowed"}
    if endpoint.roles:
        codes |= {"unauthorized", "role_forbidden", "tenant_forbidden"}
    if endpoint.body is not None:
        codes |= {
            "malformed_request",
            "body_too_large",
            "unsupported_media_type",
            "invalid_request",
            "request_timeout",
        }
    if endpoint.query is not None:
        codes |= {"malformed_request", "invalid_request"}
    if endpoint.body is not None and endpoint.query is not None:
        codes.add("tenant_ambiguous")
    if endpoint.command:
        codes |= {"idempotency_key_invalid", "idempotency_key_reused"}
    unknown = set(endpoint.problems) - set(KINDS)
    assert not unknown, f"{endpoint.name} names unknown problems: {unknown}"
    return frozenset(codes | set(endpoint.problems))
