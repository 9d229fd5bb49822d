"""Port: how a tool reaches its operation. The service and the SDK each have an adapter."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from quorate.domain.shared.records import record
from quorate.mcp_server.tools import Tool


@record
class Success:
    """The JSON of a response; ``next_after`` is ``after`` of the next page of a list."""

    body: bytes
    next_after: str | None = None


@record
class Failure:
    """A problem document."""

    problem: Mapping[str, Any]


class Caller(Protocol):
    """Calls operations with one API key."""

    async def call(self, tool: Tool, arguments: Mapping[str, Any]) -> Success | Failure:
        """Admit the call, validate its arguments, and call the operation.

        A rejected or failed call is a Failure, not an exception.
        """

    async def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Return the tools that the key may use. A call is checked in any case."""
