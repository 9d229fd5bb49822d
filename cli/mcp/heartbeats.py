"""Send heartbeats for the agents that register through this process (`quorate mcp --heartbeat`).

* An agent is added by a successful ``register``. It stays active as long as the process runs.
* A rejected heartbeat ends those of the agent: it is gone, or the key is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from quorate.client import requests
from quorate.client.async_client import AsyncClient
from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.rejections import RejectedError
from quorate.client.results import parse_time
from quorate.domain.identity.agents import AgentRef

REGISTER = "register"
AGENTS_MAX = 16
HEARTBEATS_PER_WINDOW = 3
SECONDS_MIN = 0.2


class Heartbeats:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._tasks: dict[str, asyncio.Task[None]] = {}  # By agent id.

    def follow(self, tool: str, result: Any) -> None:  # noqa: ANN401 - any JSON value.
        """Begin with the heartbeats of an agent after it registered."""
        if tool != REGISTER or not isinstance(result, Mapping):
            return
        agent_id = str(result["id"])
        if (before := self._tasks.pop(agent_id, None)) is not None:
            before.cancel()
        elif len(self._tasks) >= AGENTS_MAX:
            click.echo(f"No heartbeats for {agent_id}: {AGENTS_MAX} agents have them.", err=True)
            return
        window = parse_time(result["activeUntil"]) - parse_time(result["lastHeartbeat"])
        pause = max(SECONDS_MIN, window.total_seconds() / HEARTBEATS_PER_WINDOW)
        self._tasks[agent_id] = asyncio.create_task(self._run(agent_id, pause))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _run(self, agent_id: str, pause_seconds: float) -> None:
        while True:
            await asyncio.sleep(pause_seconds)
            try:
                await self._client.send(requests.heartbeat(AgentRef(id=agent_id)))
            except RequestFailedError as failed:
                is_final = isinstance(failed, RejectedError) and not isinstance(
                    failed, UnavailableError
                )
                click.echo(f"Heartbeat of {agent_id} failed: {failed}.", err=True)
                if is_final:
                    self._tasks.pop(agent_id, None)
                    return
