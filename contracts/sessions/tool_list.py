"""List the tools that a caller may use, in the form that a model provider or MCP takes."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_READ
from quorate.contracts.sessions.tool_inputs import TOOLS
from quorate.contracts.wire_models import SnakeAgentQuery, SnakeResponse
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound

ToolFormat: TypeAlias = Literal["json-schema", "openai", "openai-responses", "anthropic", "mcp"]


class ToolsQuery(SnakeAgentQuery):
    format: ToolFormat = Field(
        default="json-schema",
        description="`openai` is the form of Chat Completions, `openai-responses` that of "
        "Responses, `anthropic` that of Messages.",
    )


class ToolsInfo(SnakeResponse):
    """``tools`` are in the form that was asked for."""

    tools: list[dict[str, Any]]
    count: int


LIST_TOOLS = Operation(
    method="GET",
    path=TOOLS,
    name="listTools",
    summary="List the tools that the caller may use",
    description="The policies of the caller and of its task are applied.",
    roles=CAN_READ,
    query=ToolsQuery,
    response=ToolsInfo,
    errors=(AgentNotFound, ActingAsAnother),
)
OPERATIONS = (LIST_TOOLS,)
