"""``POST /mcp``: the streamable HTTP transport of MCP, without sessions.

* Each request carries its API key, and is answered alone. Nothing is kept between requests, so any
  worker or replica answers any of them, and a revoked key fails with the next one (decision 0110).
* The request is authenticated, and its body is read within limits, before the SDK sees it. What is
  rejected here has the status of the problem, and a JSON-RPC error with the problem as its data:
  clients of MCP show its message. What a tool rejects is its result.
* Each message counts once against the rate limit: as the operation that it calls, else as a read.
* The SDK is imported by the first request, in a thread: it takes a second and 30 MB.
"""

import asyncio
from collections.abc import Collection, Mapping, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from starlette.routing import Route

from quorate.api.connection_owner import prolong_body
from quorate.api.http_admission import require_principal, sent_id
from quorate.api.large_bodies import CallerReservation, LargeBodies, Reservation
from quorate.api.mcp.origins import require_known_origin
from quorate.api.mcp.tool_calls import ENVELOPE_BYTES_MAX, InProcessCaller
from quorate.api.request_reader import BodyReader, collect_headers, parse_query
from quorate.api.responses import Response, problem_response, send_response
from quorate.application.admission import RequestLogEntry, attempt, request_id
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.application.strict_json import parse
from quorate.contracts.operations import JSON_MEDIA, AnyOperation
from quorate.contracts.problems import Problem
from quorate.domain.shared.records import record
from quorate.mcp_server.advice import describe
from quorate.mcp_server.profile_names import COORDINATION, PROFILE_NAMES
from quorate.mcp_server.resources import find_resource
from quorate.mcp_server.tools import PROFILES
from quorate.runtime.asgi import Receive, Scope, Send

if TYPE_CHECKING:
    from quorate.mcp_server.server import Context, McpServer

PATH = "/mcp"
METHOD = "POST"
BODY_BYTES_MAX = 2 * 1024 * 1024 + ENVELOPE_BYTES_MAX  # That of mail_send, the largest.
CALLER = "quorate.mcp.caller"  # In the scope of a request that the SDK serves.
# Codes of JSON-RPC.
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603
_PROFILE = "profile"


class McpRoute(Route):
    """The only route that is neither an operation nor public."""

    def __init__(
        self, service: Service, large_bodies: LargeBodies, origins: Collection[str] = ()
    ) -> None:
        endpoint = McpEndpoint(service, large_bodies, frozenset(origins))
        super().__init__(PATH, endpoint, methods=[METHOD], name="mcp", include_in_schema=False)


@record
class Admitted:
    profile: str
    body: bytes
    caller: InProcessCaller


class McpEndpoint:
    """An ASGI application."""

    def __init__(
        self, service: Service, large_bodies: LargeBodies, origins: Collection[str]
    ) -> None:
        self._service = service
        self._large_bodies = large_bodies
        self._origins = origins
        self._body_reader = BodyReader(bytes_max=BODY_BYTES_MAX)
        self._servers: dict[str, asyncio.Task[McpServer]] = {}  # By profile.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        repeated = collect_headers(scope["headers"], headers)
        log_entry = RequestLogEntry(
            "mcp",
            {"method": scope["method"], "path": scope["path"]},
            request_id(sent_id(scope["headers"])),
            self._service.request_metrics.of("mcp"),
        )
        call = Call({}, headers)
        call.request_id, call.receive = log_entry.request_id, receive
        reservation = CallerReservation(self._large_bodies, call, partial(prolong_body, scope))
        try:
            admitted = await attempt(
                self._admit(call, scope, repeated, reservation), call, log_entry
            )
            if isinstance(admitted, Problem):
                await send_response(scope, send, _rejection(admitted, call))
                return
            status = await self._serve(admitted, scope, receive, send)
            if not admitted.caller.was_called:
                log_entry.record_success(status)
        finally:
            reservation.release()

    async def _admit(
        self, call: Call, scope: Scope, repeated: frozenset[bytes], reservation: Reservation
    ) -> Admitted:
        """Authenticate the caller, then read the message; raises Problem."""
        service = self._service
        require_known_origin(call.headers, self._origins)
        call.principal = await require_principal(
            service.failed_login_limiter.authenticate_http, call.headers, repeated, scope
        )
        profile = _profile(scope["query_string"])
        body = await self._body_reader.read(call.headers, call.receive, reservation)
        message = parse(body)
        caller = InProcessCaller(
            service,
            call.principal,
            headers=call.headers,
            request_id=call.request_id,
            receive=call.receive,
            body_bytes=len(body),
        )
        caller.count(_called_operation(message, profile))
        return Admitted(profile=profile, body=body, caller=caller)

    async def _serve(self, admitted: Admitted, scope: Scope, receive: Receive, send: Send) -> int:
        """Let the SDK answer the message; return the status."""
        server = await self._server(admitted.profile)
        from mcp.server.streamable_http_manager import (  # noqa: PLC0415 - loaded by now.
            StreamableHTTPSessionManager,
        )

        # A manager without sessions holds nothing but a task group: one for each request needs
        # no start and no end with the application.
        manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=BODY_BYTES_MAX
        )
        response = _CompletedResponse(send, admitted.caller)
        async with manager.run():
            await manager.handle_request(
                {**scope, CALLER: admitted.caller},
                _once(admitted.body, receive),
                response.send,
            )
        return response.status

    async def _server(self, profile: str) -> "McpServer":
        """Return the server of a profile. Requests that come together share its creation."""
        started = self._servers.get(profile)
        if started is None or (started.done() and started.exception() is not None):
            started = asyncio.create_task(asyncio.to_thread(_create_server, profile))
            self._servers[profile] = started
        return await asyncio.shield(started)


class _CompletedResponse:
    """Adds the headers that all responses of the service have."""

    def __init__(self, send: Send, caller: InProcessCaller) -> None:
        self._send = send
        self._caller = caller
        self.status = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            message["headers"] = [
                *message.get("headers", ()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
                (b"x-request-id", self._caller.request_id.encode()),
                *self._caller.allowance,
            ]
        await self._send(message)


def _rejection(problem: Problem, call: Call) -> Response:
    status, headers, body = problem_response(problem, call.request_id, call.allowance)
    document = orjson.loads(body)
    is_own = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    error = {
        "code": INTERNAL_ERROR if is_own else INVALID_REQUEST,
        "message": describe(document),
        "data": document,
    }
    body = orjson.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    kept = [one for one in headers if one[0] not in {b"content-type", b"content-length"}]
    described = [(b"content-type", JSON_MEDIA.encode()), (b"content-length", b"%d" % len(body))]
    return Response(status, [*described, *kept], body)


def _create_server(profile: str) -> "McpServer":
    from quorate.mcp_server.server import create_server  # noqa: PLC0415 - see the module.

    return create_server(PROFILES[profile], _caller_of)


def _caller_of(ctx: "Context") -> InProcessCaller:
    assert ctx.request is not None
    caller: InProcessCaller = ctx.request.scope[CALLER]
    return caller


def _profile(query: bytes) -> str:
    values = parse_query(query)
    profile = values.pop(_PROFILE, COORDINATION)
    if values or profile not in PROFILE_NAMES:
        known = ", ".join(PROFILE_NAMES)
        raise Problem("invalid_request", f"The only parameter is profile, one of: {known}.")
    return profile


def _called_operation(message: Mapping[str, Any], profile: str) -> AnyOperation | None:
    """Return the operation that a message calls, if it calls one."""
    params = message.get("params")
    if not isinstance(params, dict) or "id" not in message:
        return None
    match message.get("method"):
        case "tools/call":
            tool = PROFILES[profile].find(params.get("name"))
        case "resources/read":
            found = find_resource(params.get("uri"))
            tool = None if found is None else found[0].tool
        case _:
            tool = None
    return None if tool is None else tool.operation


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that yields the body which was read before."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return next_message
