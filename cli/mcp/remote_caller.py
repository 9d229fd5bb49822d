"""Call operations for MCP with the SDK: over HTTP, with retries under one idempotency key.

* A command that was sent is completed, even if the client cancels its call or leaves: a call that
  ends in between would leave it open whether the command was carried out.
* A call that only reads ends when the client cancels it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from quorate.cli.connection.resolve import agent_ref
from quorate.client.async_client import AsyncClient
from quorate.client.errors import LeaseLostError, RequestFailedError, UnavailableError
from quorate.client.rejections import RejectedError
from quorate.client.request_builder import Request, request_for
from quorate.client.retries import TIMEOUT_SECONDS_DEFAULT
from quorate.client.serialization import Response
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import KINDS, Problem
from quorate.contracts.sessions.tool_list import LIST_TOOLS, ToolsQuery
from quorate.domain.shared.records import changed
from quorate.mcp_server.callers import Failure, Success
from quorate.mcp_server.tools import Tool

COMMANDS_END_SECONDS_MAX = 5.0
# The fields that name the acting agent: id and name.
_ACTING = (
    ("agent_id", "agent_name"),
    ("agentId", "agentName"),
    ("requestingAgentId", "proposerAgent"),
)


class RemoteCaller:
    """Calls operations of one service with one key.

    ``agent`` is the name or id of the agent that acts in calls that name none. ``on_success``
    receives the name of each tool that succeeded, and its result.
    """

    def __init__(
        self,
        client: AsyncClient,
        agent: str | None = None,
        on_success: Callable[[str, Any], None] = lambda _name, _result: None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
    ) -> None:
        self._client = client
        self._agent = agent_ref(agent)
        self._on_success = on_success
        self._timeout_seconds = timeout_seconds
        self._commands: set[asyncio.Task[Response[Any]]] = set()

    async def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the session tools that the policies of the key permit, and all other tools.

        Only the service knows the role of the key. If it does not answer, all are offered.
        """
        if all(tool.operation.tool is None for tool in tools):
            return tools
        query = ToolsQuery(agent_id=self._agent.id, agent_name=self._agent.name)
        try:
            listed = await self._client.send(request_for(LIST_TOOLS, query=query))
        except RequestFailedError:
            return tools
        names = {one["name"] for one in listed.result.tools}
        return [tool for tool in tools if tool.operation.tool is None or tool.name in names]

    async def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Success | Failure:
        try:
            request, key = self._request(tool, arguments)
            response = await self._send(request, key)
        except Problem as problem:
            return _failure(problem.code, problem.detail, problem.details)
        except RequestFailedError as failed:
            return _failure_of(failed)
        self._on_success(tool.name, response.result)
        return Success(body=orjson.dumps(response.result), next_after=response.next_after)

    async def end_commands(self) -> None:
        """Wait for the commands that are in progress, within a time limit."""
        if self._commands:
            await asyncio.wait(self._commands, timeout=COMMANDS_END_SECONDS_MAX)

    def _request(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[Request[Any], str | None]:
        """Validate the arguments as the service does, and make the request; raises Problem."""
        operation = tool.operation
        given = self._with_agent(operation, arguments)
        fields = tool.read(given, own_id=self._agent.id)
        if not all(fields.path.values()):
            raise Problem("invalid_request", "An id of the arguments has no valid form.")
        request = request_for(operation, fields.body, fields.query, **fields.path)
        return changed(request, parse=lambda json: json), fields.idempotency_key

    def _with_agent(
        self, operation: AnyOperation, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        model = operation.body or operation.query
        aliases = {one.alias for one in model.model_fields.values()} if model else set()
        for id_, name in _ACTING:
            if {id_, name} <= aliases and not {id_, name} & arguments.keys():
                own = {id_: self._agent.id, name: self._agent.name}
                return {**{key: value for key, value in own.items() if value}, **arguments}
        return arguments

    async def _send(self, request: Request[Any], key: str | None) -> Response[Any]:
        seconds = self._timeout_seconds + request.long_poll_seconds
        sending = self._client.send(request, timeout_seconds=seconds, idempotency_key=key)
        if not request.is_command:
            return await sending
        task = asyncio.create_task(sending)
        self._commands.add(task)
        task.add_done_callback(self._discard)
        return await asyncio.shield(task)

    def _discard(self, task: "asyncio.Task[Response[Any]]") -> None:
        self._commands.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved: after a cancelled call, nothing awaits its command.


def _failure_of(failed: RequestFailedError) -> Failure:
    if isinstance(failed, RejectedError):
        problem, status = failed.args
        return Failure(problem={"status": status, **problem})
    if isinstance(failed, LeaseLostError):
        return _failure("lease_ended", f"{failed}.", {})
    code = "unavailable" if isinstance(failed, UnavailableError) else "internal_error"
    return _failure(code, f"{failed}.", {})


def _failure(code: str, detail: str, details: Mapping[str, Any]) -> Failure:
    kind = KINDS[code]
    problem = {
        "type": f"urn:quorate:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "requestId": "",  # The service did not log it.
    }
    return Failure(problem={**details, **problem})
