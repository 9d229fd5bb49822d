"""Serve the messages of many agents in turns, so that no agent waits behind the backlog of another.

* While few messages arrive, each one is served at once.
* After TURN_COST_MAX in one turn of the event loop, further messages wait. Each turn then serves
  one message per agent, round and round, and lets other tasks run.
* The messages of one agent are served in the order of their arrival.
* Of one agent at most WAITING_PER_AGENT_MAX messages wait. The next one is rejected.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from nats.aio.msg import Msg

TURN_COST_MAX = 32
BYTES_PER_COST = 4_096  # A large message costs as much as several small ones.
WAITING_PER_AGENT_MAX = 256

Serve: TypeAlias = Callable[[Msg], Awaitable[Any]]


class FairQueue:
    """``serve`` and ``reject`` handle a message without waiting for the response."""

    def __init__(self, serve: Serve, reject: Serve, agent_of: Callable[[Msg], str]) -> None:
        self._serve = serve
        self._agent_of = agent_of
        self._reject = reject
        self._waiting: OrderedDict[str, deque[Msg]] = OrderedDict()
        self._cost = 0  # Of the messages served in this turn of the event loop.
        self._task: asyncio.Task[None] | None = None

    async def pass_on(self, message: Msg) -> None:
        """Serve a message now, or let it wait for the turn of its agent."""
        if not self._waiting and self._cost < TURN_COST_MAX:
            await self._serve_now(message)
            return
        agent = self._agent_of(message)
        messages = self._waiting.get(agent)
        if messages is None:
            messages = self._waiting[agent] = deque()
        if len(messages) >= WAITING_PER_AGENT_MAX:
            await self._reject(message)
            return
        messages.append(message)
        if self._task is None:
            self._task = asyncio.create_task(self._serve_waiting(), name="fair_queue")

    async def wait_until_empty(self) -> None:
        if self._task is not None:
            await asyncio.shield(self._task)

    def close(self) -> None:
        """Drop the waiting messages; their connection is gone."""
        self._waiting.clear()

    async def _serve_now(self, message: Msg) -> None:
        if not self._cost:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._cost += 1 + len(message.data) // BYTES_PER_COST
        await self._serve(message)

    def _end_turn(self) -> None:
        self._cost = 0

    async def _serve_waiting(self) -> None:
        try:
            while self._waiting:
                if self._cost >= TURN_COST_MAX:
                    await asyncio.sleep(0)
                    continue
                agent, messages = self._waiting.popitem(last=False)
                message = messages.popleft()
                if messages:
                    self._waiting[agent] = messages
                await self._serve_now(message)
        finally:
            self._task = None
