"""List the tools that a caller may use."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.application.sessions.tool_calls import tool_caller
from quorate.contracts.registry import OPERATIONS
from quorate.contracts.sessions.tool_list import LIST_TOOLS, ToolsQuery
from quorate.contracts.sessions.tool_schemas import tool_schema


@handles(LIST_TOOLS)
async def list_tools(service: Service, call: Call) -> Reply:
    query: ToolsQuery = call.query
    caller = await tool_caller(service, call)
    tools = [
        tool_schema(operation, query.format)
        for operation in OPERATIONS
        if operation.tool is not None
        and caller.principal.role in operation.roles
        and caller.access.permits(operation.tool)
    ]
    return Reply(body=dump({"tools": tools, "count": len(tools)}))
