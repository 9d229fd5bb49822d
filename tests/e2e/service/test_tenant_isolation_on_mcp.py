"""A key of one tenant reveals nothing about another tenant through any tool or resource of MCP.

Tools come from the profiles and their values from the tables of ``two_tenants``, so a new tool is
covered automatically.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from quorate.contracts.message_fields import id_fields
from quorate.domain.identity.principals import Role
from quorate.mcp_server.resources import RESOURCES
from quorate.mcp_server.tools import PROFILES, Tool
from tests.e2e.service.http_clients import Caller, Operator
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.two_tenants import (
    FIELDS,
    MAIL_IDS,
    NAME_ASSIGNMENTS,
    PATHS,
    SHARED_IN_BODIES,
    UNKNOWN_VALUES,
    EndpointRequest,
    fields,
)

TOOLS = [tool for profile in PROFILES.values() for tool in profile.tools]
PROFILE_OF = {tool.name: profile.name for profile in PROFILES.values() for tool in profile.tools}
ROLES: tuple[Role, ...] = ("tenant", "agent", "auditor")
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
    "X-Request-Id": "the-same",
}
DENIED = {"tenant_forbidden", "role_forbidden"}


def named(tool: Tool) -> str:
    return tool.name


@pytest.fixture
async def ours(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.fixture
async def theirs(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


def arguments_of(tool: Tool, side: TenantData) -> dict[str, Any]:
    """Return the arguments of a valid call of a tenant."""
    return arguments(tool, EndpointRequest.of(tool.operation, side))


def arguments(tool: Tool, request: EndpointRequest) -> dict[str, Any]:
    more = {} if tool.timeout is None else {tool.timeout.argument: 0}
    return {**request.message(), **more}


async def post(caller: Caller, method: str, params: Mapping[str, Any], profile: str = "") -> str:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    query = {"profile": profile} if profile else None
    response = await caller.request("POST", "/mcp", message, query=query, headers=HEADERS)
    return response.text


async def call(caller: Caller, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    params = {"name": tool.name, "arguments": arguments}
    text = await post(caller, "tools/call", params, PROFILE_OF[tool.name])
    result: dict[str, Any] = json.loads(text)["result"]
    return result


def code(result: Mapping[str, Any]) -> str:
    assert result["isError"], result
    return str(result["structuredContent"]["code"])


def identifying_fields(tool: Tool) -> set[str]:
    """Return the arguments that name a resource, apart from ids in the path."""
    operation = tool.operation
    shared = SHARED_IN_BODIES if operation.body is not None else set[str]()
    names = fields(operation.body or operation.query)
    return {
        name for name in names if name in FIELDS and (operation.name, name) not in NAME_ASSIGNMENTS
    } - shared


@pytest.mark.parametrize("tool", TOOLS, ids=named)
async def test_own_resource_is_accessible_only_by_the_roles_of_the_operation(
    tool: Tool, ours: TenantData
) -> None:
    for role in ROLES:
        result = await call(ours.callers[role], tool, arguments_of(tool, ours))

        if role in tool.operation.roles:
            # A main session cannot be deleted: the problem says that it was found.
            is_found = not result["isError"] or code(result) == "main_session_kept"
            assert is_found, (role, result)
        else:
            assert code(result) == "role_forbidden"


@pytest.mark.parametrize("tool", TOOLS, ids=named)
async def test_value_of_the_other_tenant_looks_like_an_unknown_one(
    tool: Tool, ours: TenantData, theirs: TenantData
) -> None:
    before = await theirs.tenant.events()
    own = EndpointRequest.of(tool.operation, ours)
    replace = own.with_query if tool.operation.body is None else own.with_field
    places = [(name, PATHS, own.with_path) for name in id_fields(tool.operation)]
    places += [(name, FIELDS, replace) for name in identifying_fields(tool)]
    for role in [role for role in ROLES if role in tool.operation.roles]:
        for name, known_values, with_value in places:
            values = known_values[name](theirs), UNKNOWN_VALUES[name]()
            foreign, unknown = [
                without(value, await call(ours.callers[role], tool, sent))
                for value in values
                for sent in [arguments(tool, with_value(name, value))]
            ]

            assert foreign == unknown, (role, name)
            assert not any(known in foreign for known in theirs.names - set(values))
    assert await theirs.tenant.events() == before


def without(value: str, result: Mapping[str, Any]) -> str:
    """Return the result without the value that the caller sent."""
    return json.dumps(result).replace(value, "*")


@pytest.mark.parametrize("tool", TOOLS, ids=named)
async def test_tenant_id_of_the_other_tenant_is_rejected(
    tool: Tool, ours: TenantData, theirs: TenantData
) -> None:
    name = "tenant_id" if tool.operation.has_snake_case else "tenantId"
    for role in ROLES:
        for side in (ours, theirs):
            arguments = {**arguments_of(tool, side), name: theirs.tenant.id}
            assert code(await call(ours.callers[role], tool, arguments)) in DENIED


@pytest.mark.parametrize("role", ROLES)
async def test_resources_and_lists_contain_only_own_items(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    caller = ours.callers[role]
    found = [await call(caller, tool, arguments_of(tool, ours)) for tool in TOOLS]
    uris = [one.uri for one in RESOURCES if not one.is_template]
    uris += [f"quorate://consensus/{theirs.request}", f"quorate://inbox/{theirs.agent.name}"]
    read = [await post(caller, "resources/read", {"uri": uri}) for uri in uris]

    text = json.dumps(found) + "".join(read)
    for known in theirs.names - {theirs.request, theirs.agent.name}:
        assert known not in text
    if role != "agent":
        assert ours.lease in text


def test_every_role_that_may_call_a_tool_is_tried() -> None:
    for tool in TOOLS:
        assert tool.operation.roles & set(ROLES), tool.name
    assert {"agentId", *MAIL_IDS} <= {name for tool in TOOLS for name in identifying_fields(tool)}
