"""Serve MCP over standard input and output until the client leaves or a signal arrives.

Standard output carries only messages of MCP. The SDK leads anything else that is printed to
standard error.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from mcp.server.stdio import stdio_server

from quorate.cli.mcp.heartbeats import Heartbeats
from quorate.cli.mcp.remote_caller import RemoteCaller
from quorate.client.async_client import AsyncClient
from quorate.mcp_server.server import McpServer, create_server
from quorate.mcp_server.tools import PROFILES
from quorate.runtime.signals import without_ignored

SIGNALLED = 128  # Plus the number of the signal, as in shells.


def run(url: str, api_key: str, agent: str | None, *, profile: str, heartbeat: bool) -> None:
    """Serve until the client leaves; does not return after a signal."""
    asyncio.run(_serve(url, api_key, agent, profile=profile, heartbeat=heartbeat))


async def _serve(
    url: str, api_key: str, agent: str | None, *, profile: str, heartbeat: bool
) -> None:
    async with AsyncClient(url, api_key) as client:
        heartbeats = Heartbeats(client)
        caller = (
            RemoteCaller(client, agent, heartbeats.follow)
            if heartbeat
            else RemoteCaller(client, agent)
        )
        server = create_server(PROFILES[profile], lambda _: caller)
        try:
            number = await _until_signal(server)
        finally:
            heartbeats.stop()
            await caller.end_commands()
        if number:
            # The SDK reads standard input in a thread, for which asyncio would wait.
            sys.stderr.flush()
            os._exit(SIGNALLED + number)


async def _until_signal(server: McpServer) -> int:
    """Return the number of the signal that ended the service, or 0 when the client has left."""
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stop(number: int) -> None:
        if not received.done():
            received.set_result(number)

    for number in without_ignored((signal.SIGTERM, signal.SIGINT)):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    serving = asyncio.create_task(_serve_streams(server))
    either: set[asyncio.Future[Any]] = {serving, received}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not received.done():
        await serving
        return 0
    return received.result()


async def _serve_streams(server: McpServer) -> None:
    async with stdio_server() as (read_stream, write_stream):
        with suppress(BrokenPipeError):
            await server.run(read_stream, write_stream, server.create_initialization_options())
