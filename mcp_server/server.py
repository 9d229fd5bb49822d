"""The MCP server of one profile, for any transport of the SDK.

* It keeps nothing between calls: one instance serves all clients of a process.
* ``caller_of`` finds the caller of a request. Every call goes through it, and so through the
  admission of the service.
* A failed call is a result with ``isError``. Its text names the problem and the next step, its
  structured content is the problem document.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import mcp_types as types
import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

import quorate
from quorate.mcp_server import prompts
from quorate.mcp_server.advice import describe
from quorate.mcp_server.callers import Caller, Failure, Success
from quorate.mcp_server.resources import MEDIA, RESOURCES, find_resource
from quorate.mcp_server.schemas import ITEMS, NEXT, is_list, output_schema, tool_input_schema
from quorate.mcp_server.tools import Profile, Tool

NAME_LENGTH_SHOWN_MAX = 64
Context: TypeAlias = ServerRequestContext[Any, Any]
McpServer: TypeAlias = Server[Any]


def create_server(profile: Profile, caller_of: Callable[[Context], Caller]) -> McpServer:
    """Build the server; it generates all schemas, which takes some 100 ms."""
    logging.getLogger("mcp").setLevel(logging.WARNING)  # It logs each request.
    handlers = _Handlers(profile, caller_of)
    server: McpServer = Server(
        "quorate",
        version=quorate.__version__,
        title="Quorate",
        instructions=prompts.INSTRUCTIONS,
        get_tool_input_schema=handlers.input_schema_of,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
    )
    server.middleware.clear()  # Its spans would double those of the service.
    return server


def describe_tool(tool: Tool) -> types.Tool:
    operation = tool.operation
    sentences = (f"{operation.summary}.", operation.description, tool.note)
    return types.Tool(
        name=tool.name,
        title=operation.summary,
        description=" ".join(one for one in sentences if one),
        input_schema=tool_input_schema(tool),
        output_schema=output_schema(tool),
        annotations=types.ToolAnnotations(
            title=operation.summary,
            read_only_hint=tool.is_read_only,
            idempotent_hint=tool.is_read_only or tool.is_idempotent,
            destructive_hint=tool.is_destructive,
            open_world_hint=tool.reaches_people,
        ),
    )


class _Handlers:
    def __init__(self, profile: Profile, caller_of: Callable[[Context], Caller]) -> None:
        self._profile = profile
        self._caller_of = caller_of
        self._described = {tool.name: describe_tool(tool) for tool in profile.tools}

    def input_schema_of(self, name: str) -> Mapping[str, Any] | None:
        described = self._described.get(name)
        return None if described is None else described.input_schema

    # -- Tools ---------------------------------------------------------------

    async def list_tools(
        self, ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        caller = self._caller_of(ctx)
        tools = await caller.offered(self._profile.tools)
        return types.ListToolsResult(tools=[self._described[one.name] for one in tools])

    async def call_tool(
        self, ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = self._profile.find(params.name)
        if tool is None:
            shown = params.name[:NAME_LENGTH_SHOWN_MAX]
            raise MCPError(
                types.INVALID_PARAMS,
                f"Unknown tool: {shown!r}. The profile {self._profile.name} has: "
                f"{', '.join(self._described)}.",
            )
        outcome = await self._caller_of(ctx).call(tool, params.arguments or {})
        return result_of(tool, outcome)

    # -- Resources -----------------------------------------------------------

    async def list_resources(
        self, _ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(
            resources=[
                types.Resource(uri=one.uri, name=one.tool.name, title=one.title, mime_type=MEDIA)
                for one in RESOURCES
                if not one.is_template
            ]
        )

    async def list_templates(
        self, _ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=one.uri, name=one.tool.name, title=one.title, mime_type=MEDIA
                )
                for one in RESOURCES
                if one.is_template
            ]
        )

    async def read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        found = find_resource(str(params.uri))
        if found is None:
            shown = str(params.uri)[:NAME_LENGTH_SHOWN_MAX]
            raise MCPError(
                types.INVALID_PARAMS,
                f"Unknown resource: {shown!r}. Known: {', '.join(one.uri for one in RESOURCES)}.",
            )
        resource, fields = found
        outcome = await self._caller_of(ctx).call(resource.tool, fields)
        if isinstance(outcome, Failure):
            problem = dict(outcome.problem)
            raise MCPError(types.INVALID_PARAMS, describe(problem), problem)
        text = orjson.dumps(_value_of(resource.tool, outcome)).decode()
        content = types.TextResourceContents(uri=str(params.uri), mime_type=MEDIA, text=text)
        return types.ReadResourceResult(contents=[content])

    # -- Prompts -------------------------------------------------------------

    async def list_prompts(
        self, _ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        arguments = [
            types.PromptArgument(name=name, description=text, required=False)
            for name, text in prompts.ARGUMENTS.items()
        ]
        prompt = types.Prompt(
            name=prompts.COORDINATE,
            title=prompts.COORDINATE_TITLE,
            description=prompts.COORDINATE_DESCRIPTION,
            arguments=arguments,
        )
        return types.ListPromptsResult(prompts=[prompt])

    async def get_prompt(
        self, _ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        if params.name != prompts.COORDINATE:
            shown = params.name[:NAME_LENGTH_SHOWN_MAX]
            raise MCPError(
                types.INVALID_PARAMS, f"Unknown prompt: {shown!r}. Known: {prompts.COORDINATE}."
            )
        text = prompts.coordinate(params.arguments or {})
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(description=prompts.COORDINATE_DESCRIPTION, messages=[message])


def result_of(tool: Tool, outcome: Success | Failure) -> types.CallToolResult:
    """Return the result of a call; its text is the same JSON, for clients that read only text."""
    if isinstance(outcome, Failure):
        return types.CallToolResult(
            content=[types.TextContent(text=describe(outcome.problem))],
            structured_content=dict(outcome.problem),
            is_error=True,
        )
    value = _value_of(tool, outcome)
    content: list[types.ContentBlock] = [types.TextContent(text=orjson.dumps(value).decode())]
    if tool.next_step is not None:
        content.append(types.TextContent(text=tool.next_step(value)))
    return types.CallToolResult(content=content, structured_content=value)


def _value_of(tool: Tool, outcome: Success) -> dict[str, Any]:
    value = orjson.loads(outcome.body)
    if is_list(tool.operation):
        return {ITEMS: value, NEXT: outcome.next_after}
    assert isinstance(value, dict), f"{tool.name} returns an object"
    return value
