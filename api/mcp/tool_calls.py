"""Call operations for MCP in this process, with the admission and handlers of the other transports.

* Each call checks the role of the key and its rate limit, then the arguments, then the tenant.
  The message was counted when it arrived (``count``).
* Each call is logged, counted and traced once, as transport ``mcp``.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from quorate.api.http_admission import require_role, trace_headers
from quorate.api.registry import handler_for
from quorate.application.admission import RequestLogEntry, attempt, check_tenant
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rate_limiter import READ_RESERVE, Allowance, caller_of, reserve_for
from quorate.application.sessions.tool_calls import tool_caller
from quorate.application.strict_json import body_too_large
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import Problem, body_of
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.errors import DomainError
from quorate.mcp_server.callers import Failure, Success
from quorate.mcp_server.tools import Tool
from quorate.runtime.asgi import Receive

# The message around the arguments: method, id, name and metadata of the client.
ENVELOPE_BYTES_MAX = 16 * 1024
IDEMPOTENCY_KEY = b"idempotency-key"


class InProcessCaller:
    """Calls operations for one HTTP request, which is authenticated."""

    def __init__(
        self,
        service: Service,
        principal: Principal,
        *,
        headers: Mapping[bytes, bytes],
        request_id: str,
        receive: Receive,
        body_bytes: int,
    ) -> None:
        """``receive`` tells when the client disconnects; a wait ends then."""
        self._service = service
        self._principal = principal
        # A header is that of a connection: as a key it would be that of all its calls.
        self._headers = {name: one for name, one in headers.items() if name != IDEMPOTENCY_KEY}
        self.request_id = request_id
        self._receive = receive
        self._body_bytes = body_bytes
        self.allowance: Allowance = ()
        self.was_called = False
        self._rejection: Problem | None = None

    def count(self, operation: AnyOperation | None) -> None:
        """Count the message against the rate limit; raise Problem above it.

        The call of an operation is rejected by its result instead, which the agent reads.
        """
        principal = self._principal
        reserve = READ_RESERVE if operation is None else reserve_for(operation)
        try:
            self.allowance = self._service.tenant_access.check(
                principal.tenant, caller_of(principal), reserve
            )
        except Problem as problem:
            if operation is None:
                raise
            self._rejection = problem

    async def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the tools that the role and the policies of the key permit."""
        found = [tool for tool in tools if self._principal.role in tool.operation.roles]
        if all(tool.operation.tool is None for tool in found):
            return found
        call = Call({}, self._headers)
        call.principal = self._principal
        try:
            caller = await tool_caller(self._service, call)
        except (Problem, DomainError):  # A header names what does not exist: calls say so.
            return []
        return [tool for tool in found if caller.access.permits(tool.operation.tool or tool.name)]

    async def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Success | Failure:
        operation, service = tool.operation, self._service
        self.was_called = True
        log_entry = RequestLogEntry(
            "mcp",
            {"tool": tool.name, "operation": operation.name},
            self.request_id,
            service.request_metrics.of("mcp", operation.name),
        )
        if service.tracing is not None:
            log_entry.span = service.tracing.start_request(
                "mcp", operation.name, trace_headers(self._headers)
            )
        call = Call({}, self._headers)
        call.request_id, call.receive = self.request_id, self._receive
        call.span = log_entry.span
        call.follow(operation)
        reply = await attempt(self._execute(call, tool, arguments), call, log_entry)
        if isinstance(reply, Problem):
            body = body_of(reply, self.request_id, error_object=operation.error_object)
            return Failure(problem=orjson.loads(body))
        log_entry.record_success(reply.status)
        return Success(body=reply.body, next_after=_next_after(reply))

    async def _execute(self, call: Call, tool: Tool, arguments: Mapping[str, Any]) -> Reply:
        operation, principal = tool.operation, self._principal
        call.principal = principal
        require_role(operation, principal)
        if self._rejection is not None:
            raise self._rejection
        if self._body_bytes > operation.body_bytes_max + ENVELOPE_BYTES_MAX:
            raise body_too_large(operation.body_bytes_max)
        fields = tool.read(arguments, own_id=principal.agent_id)
        call.path, call.body, call.query = fields.path, fields.body, fields.query
        if (key := fields.idempotency_key) is not None:
            call.headers = {**self._headers, IDEMPOTENCY_KEY: key.encode()}
        check_tenant(principal, call.body, call.query)
        reply = await handler_for(operation, self._service)(call)
        assert isinstance(reply, Reply), f"{operation.name} streams"
        return reply


def _next_after(reply: Reply) -> str | None:
    """Return ``after`` of the link to the next page of a list (application/pagination.py)."""
    for name, value in reply.headers:
        if name == b"link":
            target = value.decode("ascii").partition(">")[0].removeprefix("<")
            return next(iter(parse_qs(urlsplit(target).query).get("after", ())), None)
    return None
