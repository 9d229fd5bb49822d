"""Notifications in applications that use FastStream (install ``quorate[faststream]``).

    notifications = NotificationRouter.for_key(cursor=FileCursor("agent.cursor"))
    broker = notifications.make_broker(nats_url)
    app = FastStream(broker, lifespan=notifications.lifespan)

    @notifications.on(LeaseConflict)
    async def handle(conflict: LeaseConflict) -> None: ...

Guarantees:

* Handlers receive every notification after the cursor, in order and one at a time. The cursor
  advances when all handlers of a notification have returned. After a crash, the notification that
  was being handled is delivered again.
* A handler that raises is logged, and its notification counts as handled.
* A cursor of another log, for example after a restore, is logged and delivers nothing.
* Losses of messages, and restarts of nats-server and of the service, cause no gap. Notifications
  that the service no longer keeps are delivered as one ``Gap``.

How: a message over NATS wakes the router, and the router lists the notifications after its cursor
over HTTP. FastStream reads each subscription in a task, so messages of two subscriptions have no
common order; the list has one. While NATS is not connected, the router uses long polls.

``faststream_connection.py`` contains each use of private parts of FastStream 0.7.8.
"""

import asyncio
import inspect
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

try:
    from faststream.nats import NatsBroker, NatsRouter
    from faststream.nats.security import NatsToken
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("Install FastStream: pip install 'quorate[faststream]'") from missing

from quorate.client import cursors
from quorate.client.async_client import AsyncClient
from quorate.client.cursors import CursorStore, FileCursor, MemoryCursor
from quorate.client.environment import resolve_service
from quorate.client.errors import ConfigurationError, RequestFailedError
from quorate.client.faststream_connection import RouterConnection, TlsBroker
from quorate.client.outages import Outage
from quorate.client.problem_errors import log_ends_before
from quorate.client.results import Notification
from quorate.client.transports.nats import NatsAddress
from quorate.client.transports.sync_http import Client
from quorate.contracts.notifications import NotificationData
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from ssl import SSLContext


__all__ = ["CursorStore", "FileCursor", "MemoryCursor", "NotificationRouter"]

DataT = TypeVar("DataT", bound=NotificationData)
SecondT = TypeVar("SecondT", bound=NotificationData)
ThirdT = TypeVar("ThirdT", bound=NotificationData)

logger = logging.getLogger("quorate.client")

PAGE_LENGTH = 100
CHECK_SECONDS = 30.0  # A lost message is found after this time, if no other one arrives before.
LONG_POLL_SECONDS = 5.0  # While NATS is not connected; the router checks it at this interval.
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
PING_SECONDS = 10
RECONNECT_SECONDS = 1


class _Handler:
    """A function of the application, and the notifications that it receives."""

    def __init__(
        self, kinds: tuple[type[NotificationData], ...], function: Callable[..., Awaitable[None]]
    ) -> None:
        self.kinds = kinds
        self._function = function
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(function).parameters.values()
        self._takes_envelope = sum(one.kind in positional for one in parameters) > 1

    async def __call__(self, notification: Notification) -> None:
        arguments = (notification.data, notification)
        try:
            await self._function(*arguments[: 2 if self._takes_envelope else 1])
        except Exception:
            name = getattr(self._function, "__qualname__", repr(self._function))
            logger.exception("The handler %s failed for %r", name, notification)


class _Registration(Generic[DataT]):
    """The decorator that ``NotificationRouter.on`` returns."""

    def __init__(self, handlers: list[_Handler], kinds: tuple[type[DataT], ...]) -> None:
        self._handlers = handlers
        self._kinds = kinds

    @overload
    def __call__(
        self, handler: Callable[[DataT], Awaitable[None]]
    ) -> Callable[[DataT], Awaitable[None]]: ...
    @overload
    def __call__(
        self, handler: Callable[[DataT, Notification], Awaitable[None]]
    ) -> Callable[[DataT, Notification], Awaitable[None]]: ...
    def __call__(self, handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        self._handlers.append(_Handler(self._kinds, handler))
        return handler


class NotificationRouter(NatsRouter):
    """Router for the notifications of one agent; include it in a ``NatsBroker``.

    * ``url``, ``api_key``: the service and the key, as in ``Client``.
    * ``tenant_id``, ``agent_id``: the agent whose notifications to receive.
    * ``reader``: the id of the key, unless it is the key of the agent.
    * ``cursor``: where to store the sequence of the last handled notification. Without a stored
      cursor, the router starts with new notifications.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        tenant_id: str,
        agent_id: str,
        reader: str | None = None,
        cursor: CursorStore | None = None,
    ) -> None:
        super().__init__()
        self._url = url
        self._api_key = api_key
        self._agent = AgentRef(id=agent_id)
        self._cursor = MemoryCursor() if cursor is None else cursor
        self._log_id: str | None = None  # Of the log that the cursor is of.
        self._notification_handlers: list[_Handler] = []
        self._woken = asyncio.Event()
        self._broker_connection = RouterConnection(self)
        self._address = NatsAddress(
            url="",  # The broker connects.
            api_key=api_key,
            tenant_id=tenant_id,
            agent_id=agent_id,
            reader=reader or agent_id,
        )
        for subject in self._address.subjects:
            self.subscriber(subject, no_reply=True)(self._make_receiver())

    @classmethod
    def for_key(
        cls,
        url: str | None = None,
        api_key: str | None = None,
        *,
        agent_id: str | None = None,
        cursor: CursorStore | None = None,
    ) -> Self:
        """Make the router for the agent of a key, by one blocking request to the service.

        ``url`` and ``api_key`` default to QUORATE_URL and QUORATE_API_KEY. A tenant key must name
        an agent by ``agent_id``.

        Raises ConfigurationError when the URL, the key or the agent is missing, and the exceptions
        of ``Client.execute``.
        """
        service = resolve_service(url, api_key, "")
        with Client(service.url, service.api_key) as client:
            key = client.keys.own()
        found = key.agent_id or agent_id
        if found is None:
            raise ConfigurationError("The key has no agent: pass agent_id")
        return cls(
            service.url,
            service.api_key,
            tenant_id=key.tenant_id,
            agent_id=found,
            reader=key.id if key.agent_id is None else None,
            cursor=cursor,
        )

    def __repr__(self) -> str:
        return f"NotificationRouter(url={self._url!r}, agent_id={self._agent.id!r})"

    def make_broker(
        self,
        servers: str | Iterable[str],
        *,
        ssl_context: "SSLContext | None" = None,
        **options: Any,  # noqa: ANN401 - those of NatsBroker.
    ) -> NatsBroker:
        """Make a broker that includes this router and connects with its key.

        ``options`` are further arguments of ``NatsBroker``. A ``tls://`` address is used with TLS
        only.
        """
        broker = TlsBroker(servers, **(self.broker_options(ssl_context) | options))
        broker.include_router(self)
        return broker

    def broker_options(self, ssl_context: "SSLContext | None" = None) -> dict[str, Any]:
        """Return the arguments of ``NatsBroker``: credentials, inbox prefix and reconnection.

        For a broker that the application makes; it must include the router. ``NatsBroker`` falls
        back to plain text if the server does not offer TLS, also for a ``tls://`` address.
        """
        return {
            "security": NatsToken(
                self._api_key, ssl_context=ssl_context, use_ssl=ssl_context is not None
            ),
            "inbox_prefix": self._address.inbox_prefix,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RECONNECT_SECONDS,
            "ping_interval": PING_SECONDS,
            "disconnected_cb": self._wake,
            "reconnected_cb": self._wake,
            "closed_cb": self._wake,
        }

    @overload
    def on(self, kind: type[DataT], /) -> _Registration[DataT]: ...
    @overload
    def on(self, kind: type[DataT], second: type[SecondT], /) -> _Registration[DataT | SecondT]: ...
    @overload
    def on(
        self, kind: type[DataT], second: type[SecondT], third: type[ThirdT], /
    ) -> _Registration[DataT | SecondT | ThirdT]: ...
    def on(self, *kinds: type[NotificationData]) -> _Registration[Any]:
        """Register an ``async`` function for the notifications of up to three classes.

        The handler receives the data, and the ``Notification`` too if it has two parameters.
        ``NotificationData`` selects all notifications, ``Gap`` those that are no longer kept.
        """
        return _Registration(self._notification_handlers, kinds)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Deliver notifications while the block runs; pass it to ``FastStream(lifespan=...)``.

        Entering loads the cursor. Raises RequestFailedError or one of its subclasses when there is
        no stored cursor and the service does not respond.
        """
        async with AsyncClient(self._url, self._api_key) as client:
            if await self._cursor.load() is None:
                page = await client.notifications.list(self._agent, after=0, limit=1)
                await cursors.save_log_id(self._cursor, page.log_id)
                await self._cursor.save(page.head)
            delivering = asyncio.create_task(self._deliver_all(client), name="notification router")
            try:
                yield
            finally:
                delivering.cancel()
                await asyncio.gather(delivering, return_exceptions=True)

    # -- Delivery ------------------------------------------------------------

    def _make_receiver(self) -> Callable[[Any], Awaitable[None]]:
        async def receive_notification(body: Any) -> None:  # noqa: ANN401, ARG001 - see the module.
            self._woken.set()

        return receive_notification

    async def _wake(self) -> None:
        self._woken.set()

    async def _deliver_all(self, client: AsyncClient) -> None:
        pause, outage = PAUSE_SECONDS_MIN, Outage("The notification router")
        position: int | None = None
        while True:
            try:
                if position is None:
                    position = await self._cursor.load() or 0
                    self._log_id = await cursors.load_log_id(self._cursor, self._log_id)
                position = await self._deliver_page(client, position)
            except RequestFailedError as failure:
                outage.record_failure(failure)
            except Exception:
                logger.exception("Notifications cannot be delivered and will be retried")
            else:
                pause = PAUSE_SECONDS_MIN
                outage.record_success()
                continue
            position = None  # Continue after the stored cursor.
            await asyncio.sleep(pause * (1 + random.random()) / 2)  # noqa: S311 - no secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _deliver_page(self, client: AsyncClient, position: int) -> int:
        """Deliver the next notifications, or wait for one; return the new position."""
        self._woken.clear()
        is_connected = await self._broker_connection.is_usable()
        page = await client.notifications.list(
            self._agent,
            after=position,
            limit=PAGE_LENGTH,
            wait_seconds=0.0 if is_connected else LONG_POLL_SECONDS,
            log_id=self._log_id,
        )
        if page.head < position:  # The service does not reject such a cursor itself.
            raise log_ends_before(position, page.head)
        if self._log_id is None:
            self._log_id = await cursors.save_log_id(self._cursor, page.log_id)
        for notification in page.notifications:
            await self._handle(notification)
            await self._cursor.save(notification.sequence)
        if page.next >= page.head and is_connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._woken.wait()
        return max(position, page.next)

    async def _handle(self, notification: Notification) -> None:
        for handler in self._notification_handlers:
            if isinstance(notification.data, handler.kinds):
                await handler(notification)
