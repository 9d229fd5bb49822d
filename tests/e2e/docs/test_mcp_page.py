"""The page about MCP: its configurations start servers that answer, and its table is complete."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from quorate.api.mcp.route import BODY_BYTES_MAX
from quorate.mcp_server.resources import RESOURCES
from quorate.mcp_server.tools import COORDINATION_TOOLS, TOOLS_PER_PROFILE_MAX, WAIT_SECONDS_MAX
from tests.e2e.docs.markdown import document
from tests.e2e.service.mcp_clients import connect_http
from tests.e2e.service.service_process import ServiceProcess
from tests.e2e.service.shared_service import SharedService

PAGE = document("docs/mcp.md")
DOCUMENTED_URL = "http://127.0.0.1:8420"
DOCUMENTED_KEY = "qk_..."
ROW = re.compile(r"\| `(\w+)` \| `(\w+)` \| (yes|) ?\| (yes|) ?\|")


def configurations() -> Iterator[dict[str, Any]]:
    """Yield the entry of Quorate in each configuration, and in the command of Claude Code."""
    for fence in PAGE.fences:
        if fence.language == "json":
            (servers,) = json.loads(fence.text).values()
            yield servers["quorate"]
        elif fence.text.startswith("claude mcp add"):
            words = fence.text.split()
            variables = [words[at + 1] for at, word in enumerate(words) if word == "--env"]
            command, *arguments = words[words.index("--") + 1 :]
            env = dict(one.split("=", 1) for one in variables)
            yield {"command": command, "args": arguments, "env": env}


CONFIGURATIONS = list(configurations())


@pytest.fixture(scope="module")
def service(shared_service: SharedService) -> Iterator[ServiceProcess]:
    with shared_service.borrow() as running:
        yield running


async def initialize(entry: dict[str, Any], service: ServiceProcess) -> str:
    """Connect as the configuration says, and return the name of the server."""
    if "command" not in entry:
        key = entry["headers"]["Authorization"].removeprefix("Bearer ")
        assert (entry["url"].partition("/mcp")[0], key) == (DOCUMENTED_URL, DOCUMENTED_KEY)
        query = entry["url"].partition("/mcp")[2]
        async with connect_http(service, service.api_key, mode="legacy", query=query) as client:
            return name_of(client)
    assert entry["env"] == {"QUORATE_URL": DOCUMENTED_URL, "QUORATE_API_KEY": DOCUMENTED_KEY}
    parameters = StdioServerParameters(
        command=str(Path(sys.executable).with_name("quorate")),
        args=entry["args"],
        env={"QUORATE_URL": service.url, "QUORATE_API_KEY": service.api_key},
    )
    assert entry["command"] == "quorate"
    async with Client(parameters, mode="legacy") as client:
        await client.call_tool("list_leases", {})
        return name_of(client)


def name_of(client: Client) -> str:
    assert client.server_info is not None
    return client.server_info.name


@pytest.mark.parametrize("entry", CONFIGURATIONS, ids=lambda one: one.get("type", "command"))
def test_configuration_connects(entry: dict[str, Any], service: ServiceProcess) -> None:
    assert asyncio.run(initialize(entry, service)) == "quorate"


def test_page_has_a_configuration_of_each_kind() -> None:
    assert len(CONFIGURATIONS) == 4
    assert [one for one in CONFIGURATIONS if "url" in one]


def test_table_lists_every_tool_with_its_operation_and_hints() -> None:
    documented = {found[1]: found.groups()[1:] for found in ROW.finditer(PAGE.text)}
    expected = {
        tool.name: (
            tool.operation.name,
            "yes" if tool.is_read_only else "",
            "yes" if tool.is_destructive else "",
        )
        for tool in COORDINATION_TOOLS
    }

    assert documented == expected


def test_page_lists_every_resource_and_limit() -> None:
    for resource in RESOURCES:
        assert f"`{resource.uri}`" in PAGE.text
    for text in (
        f"| tools of a profile | {TOOLS_PER_PROFILE_MAX} |",
        f"| message over HTTP | {BODY_BYTES_MAX} bytes;",
        f"| wait | {WAIT_SECONDS_MAX:g} seconds;",
        f"(0 to {WAIT_SECONDS_MAX:g}, {WAIT_SECONDS_MAX:g} by default)",
    ):
        assert text in PAGE.text
