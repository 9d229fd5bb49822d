"""The FastStream broker that serves agents' commands, and the loop that replaces it.

Guarantees:

* The subject authenticates the sender: the server lets only that agent's keys publish there.
* A response goes to the sender's own inbox or is not sent. The server does not validate reply
  subjects; without this check an agent could make the service publish on any subject.
* No command is dropped silently: above the limits it is rejected with a response. Only the
  messages of an agent that floods are dropped, and the agent is disconnected (bus/flood_guard.py).
* A failure becomes a problem response. FastStream itself would only drop the command.
* A broker lives as long as its connection. nats-py can end in a client that stays closed, so a lost
  connection ends its broker, and a new one is built on the next connection (bus/connection.py).
* On shutdown no more commands are accepted, the accepted ones get their response, and then the
  connection is closed.

The subscribers only hand a command over (bus/command_tasks.py). FastStream sends no responses,
because its tasks and its publishing are slower than those of nats-py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, cast

from faststream import BaseMiddleware, ContextRepo
from faststream.exceptions import IgnoredException
from faststream.message import StreamMessage
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus import nats_internals
from quorate.bus.command_fast_lane import HOT_OPERATIONS, FastLane
from quorate.bus.command_routes import CommandRoutes
from quorate.bus.command_tasks import CommandTasks, Operations, can_reply
from quorate.bus.connection import Connect, Connection, ConnectionLost, keep_connected
from quorate.bus.flood_guard import FloodGuard
from quorate.bus.subjects import parse_command_subject
from quorate.bus.subscribers import subscribe

# -- Middlewares -------------------------------------------------------------


class ReplyOnlyToCaller(BaseMiddleware[Any, Any]):
    """Ignore a command whose reply subject is not in the sender's own inbox."""

    async def on_receive(self) -> None:
        if not can_reply(self.msg, parse_command_subject(self.msg.subject)):
            raise IgnoredException


class LimitAndRespond(BaseMiddleware[Any, Any]):
    """Reject a command above the limits; respond with a problem if it cannot be handed over.

    One middleware for both: FastStream needs 15 us for each middleware and message.
    """

    def __init__(self, tasks: CommandTasks, msg: Msg, /, *, context: ContextRepo) -> None:
        super().__init__(msg, context=context)
        self._tasks = tasks

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:  # noqa: ANN401 - the result of any handler.
        message = msg.raw_message
        sender = parse_command_subject(message.subject)
        try:
            if not self._tasks.exceeds_limit(sender):
                return await call_next(msg)
            await self._tasks.reject(message, sender)
        except Exception as error:  # noqa: BLE001 - every failure becomes a response.
            await self._tasks.fail(message, sender, error)


# -- The broker --------------------------------------------------------------


class ConnectionBroker(NatsBroker):
    """A broker on a connection that exists already and that its owner closes."""

    def __init__(self, routes: CommandRoutes, tasks: CommandTasks) -> None:
        middlewares: list[Any] = [ReplyOnlyToCaller, partial(LimitAndRespond, tasks)]
        super().__init__(
            logger=None,  # Each request is logged once, by the operation.
            apply_types=False,  # Commands are validated as over HTTP (bus/nats_commands.py).
            middlewares=middlewares,
        )
        self._routes = routes

    async def _connect(self) -> Client:
        client = cast("Client", self._routes)
        self.config.connect(client)
        return client

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        self._connection = None  # FastStream would drain it.
        await super().stop(exc_type, exc_val, exc_tb)


def create_broker(
    routes: CommandRoutes, tasks: CommandTasks, operations: Operations, fast_lane: Collection[str]
) -> ConnectionBroker:
    """Return a broker with one subscriber for each operation that is not in the fast lane."""
    broker = ConnectionBroker(routes, tasks)
    for endpoint in operations.endpoints:
        if endpoint.name not in fast_lane:
            subscribe(broker, endpoint, tasks.start)
    return broker


class CommandBroker:
    """Serves ``operations`` on a separate connection, with one broker after another."""

    def __init__(
        self,
        connect: Connect,
        operations: Operations,
        *,
        flood_guard: FloodGuard,
        fast_lane: Collection[str] = HOT_OPERATIONS,
    ) -> None:
        """``fast_lane`` names the operations that FastStream only describes; it may be empty."""
        self._flood_guard = flood_guard
        self._connect = connect
        self._operations = operations
        self._fast_lane = fast_lane
        self._tasks = CommandTasks(operations, flood_guard.record_rejection)
        self._stop_receiving: Callable[[], Awaitable[None]] | None = None
        self.broker: ConnectionBroker | None = None
        self.ready = asyncio.Event()

    @property
    def connection(self) -> Connection | None:
        """Return the connection that receives commands; None while it is replaced."""
        return self._tasks.connection

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._handle_connection, name="quorate-commands")

    async def drain(self, seconds_max: float) -> bool:
        """Accept no more commands and respond to the accepted ones; False after ``seconds_max``."""
        with suppress(TimeoutError, ConnectionLost, NatsError):
            async with asyncio.timeout(seconds_max):
                if self._stop_receiving is not None:
                    await self._stop_receiving()
                await self._tasks.wait_until_idle()
                return True
        return False

    async def _handle_connection(self, connection: Connection) -> None:
        self._tasks.connection = connection
        nats_internals.admit_messages(connection.client, self._flood_guard)
        lane = FastLane(self._tasks)
        routes = CommandRoutes(connection.client, lane.serve, lane.reject)
        broker = create_broker(routes, self._tasks, self._operations, self._fast_lane)
        try:
            await broker.start()
            self.broker = broker
            self._stop_receiving = await routes.receive()
            await connection.flush()
            self.ready.set()
            await connection.lost.wait()
        finally:
            self.ready.clear()
            self._tasks.connection, self._stop_receiving, self.broker = None, None, None
            routes.close()
            await broker.stop()
