"""Agents' commands: from a subject to an operation, and its answer back to the agent's own inbox.

* Who asks is what the subject says: the server lets nobody but that agent's keys publish there.
* An answer goes to the asking agent's inbox or nowhere. The server does not check what a message
  names as its reply subject; answering it would let an agent write wherever we may.
* Nothing is dropped in silence: nats-py throws away what it cannot queue, so everything is taken
  from it at once, and what is one too many is answered as such. One agent has OF_ONE_AGENT_MAX
  commands under way, all together have UNDER_WAY_MAX.
* nats-py runs one callback at a time. Each command is a task of its own, begun in the order in
  which they came, and none waits for another one's answer to be read.
* When it ends, no more is taken, what was taken is answered, and then the connection is closed.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NoReturn, Protocol, TypeAlias

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus.connection import Connect, Connection, ConnectionLost, keep_connected
from quorate.bus.subjects import COMMANDS_OF_ALL_TENANTS, CommandSubject, parse_command_subject
from quorate.domain.shared.records import record
from quorate.runtime.log_throttle import ThrottledWarning

QUEUE = "quorate-commands"
IN_FLIGHT_MAX = 16_384
IN_FLIGHT_PER_AGENT_MAX = 256
URGENT_SHARE = 16  # One place of so many is kept for urgent commands.
# What the server has not taken from us yet; nats-py makes whoever sends wait at twice as much.
UNSENT_BYTES_MAX = 1024 * 1024
HEADERS_BYTES_MAX = 4 * 1024  # Of an answer.
SHOWN_MAX = 120

Agent: TypeAlias = tuple[str, str]  # Its tenant and its id.

log = structlog.get_logger(__name__)
_unanswerable = ThrottledWarning("nats_command_unanswerable")
_unsent = ThrottledWarning("nats_command_refusal_unsent")


@record
class CommandRequest:
    """A command as it came; the agent is who the subject says."""

    who: CommandSubject
    headers: Mapping[str, str]
    body: bytes
    response_bytes_max: int


@record
class CommandResponse:
    body: bytes
    headers: dict[str, str]


class Operations(Protocol):
    """What is done with commands. An answer is always given: none of these raises."""

    def handle(self, asked: CommandRequest) -> Awaitable[CommandResponse]:
        """Read a command now, keep nothing of its message, and carry it out when awaited."""
        ...

    def is_urgent(self, who: CommandSubject) -> bool:
        """Whether there must be a place for it when others have taken all that they may."""
        ...

    def reject(self, asked: CommandRequest) -> CommandResponse:
        """Answer at once that there is too much to do."""
        ...


class CommandDispatcher:
    """Serves ``operations`` on a connection of its own."""

    def __init__(self, connect: Connect, operations: Operations) -> None:
        self._connect = connect
        self._operations = operations
        self._under_way: set[asyncio.Task[None]] = set()
        self._of_agent: Counter[Agent] = Counter()
        self._connection: Connection | None = None
        self._leave: Callable[[], Awaitable[None]] | None = None
        self.ready = asyncio.Event()

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._session, name="quorate-commands")

    async def drain(self, seconds_max: float) -> bool:
        """Take no more and answer what was taken; False if not all could be in time."""
        with suppress(TimeoutError, ConnectionLost, NatsError):
            async with asyncio.timeout(seconds_max):
                if self._leave is not None:
                    await self._leave()
                await self._settled()
                return True
        return False

    async def _settled(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)
        if self._connection is not None:
            await self._connection.flush()

    async def _session(self, connection: Connection) -> None:
        self._connection = connection
        subscription = await connection.client.subscribe(
            COMMANDS_OF_ALL_TENANTS, queue=QUEUE, cb=self._on_message
        )
        self._leave = subscription.drain
        try:
            await connection.flush()
            self.ready.set()
            await connection.lost.wait()
        finally:
            self.ready.clear()
            self._connection, self._leave = None, None

    async def _on_message(self, message: Msg) -> None:
        who = parse_command_subject(message.subject)
        if not who.owns_inbox(message.reply):
            _unanswerable.warn(subject=message.subject[:SHOWN_MAX], reply=message.reply[:SHOWN_MAX])
            return
        connection = self._connection
        if connection is None:
            return  # It is being replaced: nobody can be answered any more.
        asked = CommandRequest(
            who=who,
            headers=message.headers or {},
            body=message.data,
            response_bytes_max=connection.message_bytes_max - HEADERS_BYTES_MAX,
        )
        agent = (who.tenant, who.agent_id)
        if self._is_one_too_many(agent, who):
            await self._refuse(connection, message.reply, asked)
            return
        self._of_agent[agent] += 1
        answer = self._operations.handle(asked)
        task = asyncio.create_task(self._carry_out(connection, message.reply, agent, answer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _is_one_too_many(self, agent: Agent, who: CommandSubject) -> bool:
        taken = max(
            len(self._under_way) / IN_FLIGHT_MAX, self._of_agent[agent] / IN_FLIGHT_PER_AGENT_MAX
        )
        if taken < 1 - 1 / URGENT_SHARE:
            return False
        return taken >= 1 or not self._operations.is_urgent(who)

    async def _refuse(self, connection: Connection, reply: str, asked: CommandRequest) -> None:
        """Without ever waiting: everybody else's commands come after this one."""
        if connection.client.pending_data_size > UNSENT_BYTES_MAX:
            _unsent.warn(agent_id=asked.who.agent_id)
            return
        await _send(connection, reply, self._operations.reject(asked))

    async def _carry_out(
        self, connection: Connection, reply: str, agent: Agent, answer: Awaitable[CommandResponse]
    ) -> None:
        try:
            await _send(connection, reply, await answer)
        finally:
            self._of_agent[agent] -= 1
            if not self._of_agent[agent]:
                del self._of_agent[agent]


async def _send(connection: Connection, reply: str, answered: CommandResponse) -> None:
    # When there is no server any more, there is nobody who could be told.
    with suppress(ConnectionLost):
        await connection.publish(reply, answered.body, answered.headers)
