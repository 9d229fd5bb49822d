"""Run accepted commands in tasks of their own, and send their responses.

Guarantees:

* No command is dropped silently. A command above a limit is rejected with a response. One agent may
  have IN_FLIGHT_PER_AGENT_MAX commands in flight, all agents together IN_FLIGHT_MAX. One slot of
  URGENT_SHARE is reserved for urgent commands.
* Each command has a task, started in the order of arrival. No command waits until the response of
  another one is sent.
* A response goes to the connection on which the command arrived.

Both ways to serve a command use this module: the subscribers of FastStream (bus/subscribers.py) and
the plain subscription (bus/command_fast_lane.py).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Protocol, TypeAlias

import structlog
from nats.aio.msg import Msg

from quorate.bus.connection import Connection, ConnectionLost
from quorate.bus.subjects import CommandSubject
from quorate.contracts.operations import AnyOperation
from quorate.domain.shared.records import record
from quorate.runtime.log_throttle import ThrottledWarning

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
    is_throttled: bool = False  # Rejected, because the agent sends too many commands.


class Operations(Protocol):
    """Executes commands. Every method returns a response and never raises."""

    @property
    def endpoints(self) -> Sequence[AnyOperation]:
        """Return the operations that get a subscriber; other commands are handled all the same."""
        ...

    def handle(self, request: CommandRequest) -> Awaitable[CommandResponse]:
        """Read the request now, keep no reference to it, and execute it when awaited."""
        ...

    def is_urgent(self, subject: CommandSubject) -> bool:
        """Return whether the command may use the slots that are reserved for urgent commands."""
        ...

    def reject(self, request: CommandRequest) -> CommandResponse:
        """Return a response that says that too many commands are in flight."""
        ...

    def fail(self, request: CommandRequest, error: Exception) -> CommandResponse:
        """Log an error that occurred outside the operation, and return a response without it."""
        ...


def _ignore(_tenant: str, _agent_id: str) -> None: ...


class CommandTasks:
    """The commands in flight. ``connection`` is set while commands can arrive."""

    def __init__(
        self, operations: Operations, on_throttled: Callable[[str, str], None] = _ignore
    ) -> None:
        """``on_throttled`` gets tenant and agent of each command rejected because of its rate."""
        self._operations = operations
        self._on_throttled = on_throttled
        self._in_flight: set[asyncio.Task[None]] = set()
        self._in_flight_of: Counter[Agent] = Counter()
        self._context = copy_context()
        self.connection: Connection | None = None

    def exceeds_limit(self, sender: CommandSubject) -> bool:
        used = max(
            len(self._in_flight) / IN_FLIGHT_MAX,
            self._in_flight_of[sender.tenant, sender.agent_id] / IN_FLIGHT_PER_AGENT_MAX,
        )
        if used < 1 - 1 / URGENT_SHARE:
            return False
        return used >= 1 or not self._operations.is_urgent(sender)

    def start(self, message: Msg, sender: CommandSubject) -> None:
        """Start a task that executes the command and sends its response.

        The task does not inherit the caller's context. FastStream's context refers to the message,
        which would stay in memory until the command is executed.
        """
        connection = self.connection
        if connection is None:
            return  # The connection is being replaced, so no response can be sent.
        request = _request(connection, message, sender)
        agent = (sender.tenant, sender.agent_id)
        response = self._operations.handle(request)
        self._in_flight_of[agent] += 1
        task = asyncio.create_task(
            self._respond(connection, message.reply, agent, response), context=self._context.copy()
        )
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def reject(self, message: Msg, sender: CommandSubject) -> None:
        """Send a rejection without waiting, because other agents' commands follow."""
        connection = self.connection
        if connection is None:
            return
        if connection.client.pending_data_size > UNSENT_BYTES_MAX:
            _unsent.warn(agent_id=sender.agent_id)
            return
        request = _request(connection, message, sender)
        self._on_throttled(sender.tenant, sender.agent_id)
        await _send(connection, message.reply, self._operations.reject(request))

    async def fail(self, message: Msg, sender: CommandSubject, error: Exception) -> None:
        """Respond to a command whose task could not be started because of an error."""
        if self.connection is not None:
            request = _request(self.connection, message, sender)
            await _send(self.connection, message.reply, self._operations.fail(request, error))

    async def wait_until_idle(self) -> None:
        while self._in_flight:
            await asyncio.wait(self._in_flight)
        if self.connection is not None:
            await self.connection.flush()

    async def _respond(
        self, connection: Connection, reply: str, agent: Agent, response: Awaitable[CommandResponse]
    ) -> None:
        try:
            made = await response
            if made.is_throttled:
                self._on_throttled(*agent)
            await _send(connection, reply, made)
        finally:
            self._in_flight_of[agent] -= 1
            if not self._in_flight_of[agent]:
                del self._in_flight_of[agent]


def can_reply(message: Msg, sender: CommandSubject) -> bool:
    """Return whether the reply subject is in the sender's own inbox; log a warning if not."""
    if sender.owns_inbox(message.reply):
        return True
    _foreign_reply.warn(
        subject=message.subject[:LOGGED_LENGTH_MAX], reply=message.reply[:LOGGED_LENGTH_MAX]
    )
    return False


def _request(connection: Connection, message: Msg, sender: CommandSubject) -> CommandRequest:
    return CommandRequest(
        sender=sender,
        headers=message.headers or {},
        body=message.data,
        response_bytes_max=connection.message_bytes_max - HEADERS_BYTES_MAX,
    )


async def _send(connection: Connection, reply: str, response: CommandResponse) -> None:
    with suppress(ConnectionLost):  # Without a connection the response cannot be delivered.
        await connection.publish(reply, response.body, response.headers)
