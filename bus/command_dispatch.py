"""Dispatch agents' commands over NATS to operations, and send the responses to the agents' inboxes.

Guarantees:

* The subject authenticates the sender: the server lets only that agent's keys publish there.
* A response goes to the sender's own inbox or is not sent. The server does not validate reply
  subjects; without this check an agent could make the service publish on any subject.
* No command is dropped silently. nats-py drops messages that it cannot queue, so the dispatcher
  takes each message at once and rejects those above a limit with a response. One agent may have
  IN_FLIGHT_PER_AGENT_MAX commands in flight, all agents together IN_FLIGHT_MAX.
* nats-py runs one callback at a time. Each command therefore gets a task, started in the order of
  arrival, and no command waits until the response of another one is sent.
* On shutdown the dispatcher accepts no more commands, responds to the accepted ones, and then
  closes the connection.
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
URGENT_SHARE = 16  # One slot of so many is reserved for urgent commands.
# Bytes that the server has not read yet; above twice this value nats-py makes senders wait.
UNSENT_BYTES_MAX = 1024 * 1024
HEADERS_BYTES_MAX = 4 * 1024  # Of a response.
LOGGED_LENGTH_MAX = 120

Agent: TypeAlias = tuple[str, str]  # Its tenant and its id.

log = structlog.get_logger(__name__)
_foreign_reply = ThrottledWarning("nats.command_reply_invalid")
_unsent = ThrottledWarning("nats.command_rejection_not_sent")


@record
class CommandRequest:
    """A command as received; ``sender`` is the agent and operation in its subject."""

    sender: CommandSubject
    headers: Mapping[str, str]
    body: bytes
    response_bytes_max: int


@record
class CommandResponse:
    body: bytes
    headers: dict[str, str]


class Operations(Protocol):
    """Executes commands. Every method returns a response and never raises."""

    def handle(self, request: CommandRequest) -> Awaitable[CommandResponse]:
        """Read the request now, keep no reference to it, and execute it when awaited."""
        ...

    def is_urgent(self, subject: CommandSubject) -> bool:
        """Return whether the command may use the slots that are reserved for urgent commands."""
        ...

    def reject(self, request: CommandRequest) -> CommandResponse:
        """Return a response that says that too many commands are in flight."""
        ...


class CommandDispatcher:
    """Serves ``operations`` on a separate connection."""

    def __init__(self, connect: Connect, operations: Operations) -> None:
        self._connect = connect
        self._operations = operations
        self._in_flight: set[asyncio.Task[None]] = set()
        self._in_flight_of: Counter[Agent] = Counter()
        self._connection: Connection | None = None
        self._stop_receiving: Callable[[], Awaitable[None]] | None = None
        self.ready = asyncio.Event()

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._handle_connection, name="quorate-commands")

    async def drain(self, seconds_max: float) -> bool:
        """Accept no more commands and respond to the accepted ones; False after ``seconds_max``."""
        with suppress(TimeoutError, ConnectionLost, NatsError):
            async with asyncio.timeout(seconds_max):
                if self._stop_receiving is not None:
                    await self._stop_receiving()
                await self._wait_until_idle()
                return True
        return False

    async def _wait_until_idle(self) -> None:
        while self._in_flight:
            await asyncio.wait(self._in_flight)
        if self._connection is not None:
            await self._connection.flush()

    async def _handle_connection(self, connection: Connection) -> None:
        self._connection = connection
        subscription = await connection.client.subscribe(
            COMMANDS_OF_ALL_TENANTS, queue=QUEUE, cb=self._on_message
        )
        self._stop_receiving = subscription.drain
        try:
            await connection.flush()
            self.ready.set()
            await connection.lost.wait()
        finally:
            self.ready.clear()
            self._connection, self._stop_receiving = None, None

    async def _on_message(self, message: Msg) -> None:
        sender = parse_command_subject(message.subject)
        if not sender.owns_inbox(message.reply):
            _foreign_reply.warn(
                subject=message.subject[:LOGGED_LENGTH_MAX], reply=message.reply[:LOGGED_LENGTH_MAX]
            )
            return
        connection = self._connection
        if connection is None:
            return  # The connection is being replaced, so no response can be sent.
        request = CommandRequest(
            sender=sender,
            headers=message.headers or {},
            body=message.data,
            response_bytes_max=connection.message_bytes_max - HEADERS_BYTES_MAX,
        )
        agent = (sender.tenant, sender.agent_id)
        if self._exceeds_limit(agent, sender):
            await self._reject(connection, message.reply, request)
            return
        self._in_flight_of[agent] += 1
        response = self._operations.handle(request)
        task = asyncio.create_task(self._respond(connection, message.reply, agent, response))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    def _exceeds_limit(self, agent: Agent, sender: CommandSubject) -> bool:
        used = max(
            len(self._in_flight) / IN_FLIGHT_MAX,
            self._in_flight_of[agent] / IN_FLIGHT_PER_AGENT_MAX,
        )
        if used < 1 - 1 / URGENT_SHARE:
            return False
        return used >= 1 or not self._operations.is_urgent(sender)

    async def _reject(self, connection: Connection, reply: str, request: CommandRequest) -> None:
        """Send a rejection without waiting, because other agents' commands follow."""
        if connection.client.pending_data_size > UNSENT_BYTES_MAX:
            _unsent.warn(agent_id=request.sender.agent_id)
            return
        await _send(connection, reply, self._operations.reject(request))

    async def _respond(
        self, connection: Connection, reply: str, agent: Agent, response: Awaitable[CommandResponse]
    ) -> None:
        try:
            await _send(connection, reply, await response)
        finally:
            self._in_flight_of[agent] -= 1
            if not self._in_flight_of[agent]:
                del self._in_flight_of[agent]


async def _send(connection: Connection, reply: str, response: CommandResponse) -> None:
    with suppress(ConnectionLost):  # Without a connection the response cannot be delivered.
        await connection.publish(reply, response.body, response.headers)
