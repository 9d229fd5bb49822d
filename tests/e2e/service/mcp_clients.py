"""Clients of MCP, with the official SDK, over each transport of a running service."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from quorate.domain.shared.records import record
from tests.e2e.service.service_process import SOURCES, ServiceProcess

PATH = "/mcp"
TIMEOUT_SECONDS = 60.0
Json: TypeAlias = Mapping[str, Any]


def http_client(key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}"},
        timeout=TIMEOUT_SECONDS,
        verify=False,  # The service has no TLS, and loading certificates is slow.
        trust_env=False,
    )


@asynccontextmanager
async def connect_http(
    service: ServiceProcess, key: str, *, mode: str = "auto", query: str = ""
) -> AsyncIterator[Client]:
    async with http_client(key) as http:
        transport = streamable_http_client(service.url + PATH + query, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


def stdio_parameters(service: ServiceProcess, key: str, *options: str) -> StdioServerParameters:
    variables = {"QUORATE_URL": service.url, "QUORATE_API_KEY": key}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "quorate.cli.main", "mcp", *options],
        env={**variables, "PYTHONPATH": str(SOURCES), "PATH": os.environ["PATH"]},
    )


@asynccontextmanager
async def connect_stdio(
    service: ServiceProcess, key: str, *options: str, mode: str = "auto"
) -> AsyncIterator[Client]:
    async with Client(stdio_parameters(service, key, *options), mode=mode) as client:
        yield client


@record
class Transport:
    """How to connect, and whether the client and the service share the handshake protocol."""

    name: str
    connect: Callable[[ServiceProcess, str], AbstractAsyncContextManager[Client]]


TRANSPORTS = (
    Transport(name="HTTP", connect=connect_http),
    Transport(
        name="HTTP with handshake", connect=lambda one, key: connect_http(one, key, mode="legacy")
    ),
    Transport(name="stdio", connect=connect_stdio),
)


async def call_ok(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool that must succeed, and return its result."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def call_rejected(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool that must be rejected, and return the problem code."""
    return code_of(await client.call_tool(tool, arguments))


def code_of(result: CallToolResult) -> str:
    """Return the code of a failed call; its text has the code and more."""
    assert result.is_error, result
    assert isinstance(result.structured_content, dict)
    code = str(result.structured_content["code"])
    assert result.content[0].type == "text"
    assert result.content[0].text.startswith(f"{code}: ")
    return code
