"""All notifications for one agent: in order, each once, and without undetected gaps.

* ``cursor`` is the sequence up to which all notifications were delivered. Every source (NATS, event
  stream, pages) delivers only notifications that are newer than the cursor.
* NATS may lose notifications: when a connection is lost, or when the local queue overflows. A
  heartbeat response that names an undelivered notification reveals a loss. The feed then lists the
  notifications after its cursor before it delivers a newer one.
* Without NATS the feed reads the event stream (server-sent events). If the stream does not work
  (a proxy buffers or cuts it), the feed uses long polls and retries the stream later.
* Notifications that the service no longer keeps are reported as one notification named ``gap``.
* The cursor belongs to one log. The feed keeps the id of that log and sends it with each request,
  so it ends with LogMismatchError when the service has another log, also one that has grown beyond
  the cursor.
* A feed ends when it is closed, or when the service rejects it permanently (a revoked key). Each
  reader then gets that exception.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson

from quorate.client import requests
from quorate.client.background_tasks import BackgroundTasks, logger
from quorate.client.clock import boot_time
from quorate.client.config import DEFAULT, ClientConfig
from quorate.client.environment import resolve_service
from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.held_contexts import held_async
from quorate.client.notification_buffer import NotificationBuffer
from quorate.client.outages import Outage
from quorate.client.problem_errors import log_ends_before
from quorate.client.process_guard import ProcessGuard
from quorate.client.rejections import InternalServerError, RejectedError
from quorate.client.results import Notification, NotificationPage
from quorate.client.transports.failover import FailoverTransport
from quorate.contracts.identity.api_keys import KeyInfo
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.client.transports.nats import NatsSession, NatsTransport

PAGE_LENGTH = 100
LONG_POLL_SECONDS = 25.0
LONG_POLL_WITHOUT_NATS_SECONDS = 5.0  # While NATS is lost, the feed checks it at this interval.
RESPONSE_SECONDS_MAX = 15.0
GRACE_SECONDS = 1.0  # The time for a notification to arrive after a heartbeat has named it.
STREAM_FAILURES_MAX = 2
STREAM_RETRY_SECONDS = 300.0
PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 2.0
STABLE_SECONDS = 5.0  # A source that worked this long resets the backoff.
FIRST_CONNECTION_SECONDS_MAX = 2.0


def _is_permanent(failure: RequestFailedError) -> bool:
    """Whether a retry is pointless. A response of a proxy is never permanent."""
    is_rejection = isinstance(failure, RejectedError)
    return is_rejection and not isinstance(failure, InternalServerError)


class NotificationFeed:
    """The notifications of one agent, for any number of readers; ``run`` fetches them."""

    def __init__(
        self,
        transport: FailoverTransport,
        agent: AgentRef,
        cursor: int,
        nats: "NatsTransport | None" = None,
        log_id: str | None = None,
    ) -> None:
        self._log_id = log_id
        self._transport = transport
        self._agent = agent
        self._nats = nats
        self._start = cursor
        self._buffer = NotificationBuffer(cursor)
        self._listeners: list[Callable[[Notification], None]] = []
        self._changed = asyncio.Event()
        self._is_closed = False
        self._failure: RequestFailedError | None = None
        self._expected = 0  # The newest notification that a heartbeat response named.
        self._has_expectation = asyncio.Event()
        self._outage = Outage("The notification feed")
        self._stream_failures = 0
        self._retry_stream_at = float("-inf")

    @classmethod
    @held_async
    @asynccontextmanager
    async def open(
        cls,
        url: str | None = None,
        api_key: str | None = None,
        *,
        agent: AgentRef | None = None,
        nats_url: str | None = None,
        after: int | None = None,
        log_id: str | None = None,
        config: ClientConfig = DEFAULT,
    ) -> AsyncIterator["NotificationFeed"]:
        """Follow the notifications of an agent without being that agent.

        Registers nothing and sends no heartbeats.

        * ``url``, ``api_key``, ``nats_url``: as in ``Agent.connect``. With NATS, a tenant key must
          name the agent by its id.
        * ``agent``: the agent to follow; None for the agent of an agent key.
        * ``after``: the sequence of the last notification that you processed; None starts now.
        * ``log_id``: the log that ``after`` is of, as ``feed.log_id`` was; None accepts any log.

        Exceptions:

        * ConfigurationError: the URL or the key is missing;
        * RejectedError: the service rejects the key or the agent;
        * UnavailableError: the service does not respond in time.
        """
        from quorate.client.transports.http import HttpTransport  # noqa: PLC0415 - loads httpx2.

        address = resolve_service(url, api_key, nats_url)
        agent_ref = agent or AgentRef()
        http = HttpTransport(address.url, address.api_key)
        transport = FailoverTransport(http, boot_time, config.timeout_seconds)
        background, process = BackgroundTasks(), ProcessGuard()
        try:
            if after is None:
                request = requests.list_notifications(agent_ref, after=0, limit=1)
                page = await transport.execute(request)
                after, log_id = page.head, page.log_id
            if address.nats_url is not None:
                key = await transport.execute(requests.get_own_key())
                agent_id = key.agent_id or agent_ref.id
                if agent_id is not None:
                    nats = create_nats_transport(address.nats_url, address.api_key, key, agent_id)
                    transport.nats = nats
                    background.start(nats.run, "connection to NATS")
                    await nats.wait_for_first_round(FIRST_CONNECTION_SECONDS_MAX)
            feed = cls(transport, agent_ref, after, transport.nats, log_id)
            background.start(feed.run, "notification feed")
            try:
                yield feed
            finally:
                if not process.is_forked:
                    feed.close()
        finally:
            if not process.is_forked:
                await background.cancel_all()
                await transport.close()

    def __repr__(self) -> str:
        agent = self._agent.id or self._agent.name
        state = "closed" if self._is_closed else "open" if self._failure is None else "failed"
        return f"NotificationFeed(agent={agent!r}, cursor={self.cursor}, state={state!r})"

    # -- For readers ---------------------------------------------------------

    @property
    def cursor(self) -> int:
        """The sequence up to which the feed has delivered all notifications."""
        return self._buffer.cursor

    @property
    def start(self) -> int:
        """The sequence after which ``notifications`` starts by default."""
        return self._start

    @property
    def log_id(self) -> str | None:
        """The id of the log that ``cursor`` is of; None until the service has named it."""
        return self._log_id

    async def notifications(self, after: int | None = None) -> AsyncIterator[Notification]:
        """Yield the notifications after the sequence ``after``, until the feed is closed.

        The default is the start of the feed. Each reader has its own position. To resume, also in
        another process, store the ``sequence`` of the last notification that you processed, and
        pass it as ``after``.

        Raises RequestFailedError when the service rejects the feed permanently.
        """
        position = self._start if after is None else after
        while not self._is_closed:
            if self._buffer.is_behind(position):
                page = await self._fetch_page_for_reader(position)
                for notification in page.notifications if page is not None else ():
                    position = notification.sequence
                    yield notification
                position = position if page is None else max(position, page.next)
            elif (found := self._buffer.next_after(position)) is not None:
                position = found.sequence
                yield found
            elif self._failure is not None:
                raise self._failure
            else:
                await self._changed.wait()

    async def _fetch_page_for_reader(self, position: int) -> NotificationPage | None:
        """Return a page, or None after a pause when the service cannot serve it now.

        Raises RequestFailedError when the service rejects the feed permanently.
        """
        request = requests.list_notifications(
            self._agent, after=position, limit=PAGE_LENGTH, log_id=self._log_id
        )
        try:
            return await self._transport.execute(request)
        except RequestFailedError as failure:
            if _is_permanent(failure):
                raise
            self._outage.record_failure(failure)
        await asyncio.sleep(PAUSE_SECONDS_MAX)
        return None

    def add_listener(self, listener: Callable[[Notification], None]) -> None:
        """Call ``listener`` for each notification that is delivered from now on."""
        self._listeners.append(listener)

    def expect(self, sequence: int) -> None:
        """Record that a notification with this sequence exists, as a heartbeat response said."""
        self._expected = max(self._expected, sequence)
        if self._expected > self.cursor:
            self._has_expectation.set()

    def close(self) -> None:
        """End the iteration of all readers."""
        self._is_closed = True
        self._wake_readers()

    # -- Fetching ------------------------------------------------------------

    async def run(self) -> None:
        """Follow the service until cancelled, or until it rejects the feed permanently."""
        pause = PAUSE_SECONDS_MIN
        loop = asyncio.get_running_loop()
        while not self._is_closed:
            started_at = loop.time()
            try:
                await self._follow_until_missed()
            except UnavailableError as failure:
                self._outage.record_failure(failure)
            except RequestFailedError as failure:
                if _is_permanent(failure):
                    self._failure = failure
                    self._wake_readers()
                    return
                self._outage.record_failure(failure)
            if loop.time() - started_at > STABLE_SECONDS:
                pause = PAUSE_SECONDS_MIN
            await asyncio.sleep(pause * (1 + random.random()) / 2)  # noqa: S311 - no secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _follow_until_missed(self) -> None:
        following = asyncio.ensure_future(self._follow())
        detecting = asyncio.ensure_future(self._detect_missed())
        try:
            await asyncio.wait({following, detecting}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            else:
                logger.info("A notification is missing; the feed lists the notifications again")
                self._stream_failures += 1
        finally:
            following.cancel()
            detecting.cancel()
            await asyncio.gather(following, detecting, return_exceptions=True)

    async def _detect_missed(self) -> None:
        """Return when an expected notification is overdue and no other one has arrived either."""
        while True:
            await self._has_expectation.wait()
            self._has_expectation.clear()
            while self.cursor < self._expected:
                cursor_before = self.cursor
                await asyncio.sleep(GRACE_SECONDS)
                if self.cursor == cursor_before:
                    return

    async def _follow(self) -> None:
        session = self._nats.session if self._nats is not None else None
        if session is not None:
            await self._follow_nats(session)
        elif self._nats is not None or self._stream_failures >= STREAM_FAILURES_MAX:
            await self._follow_long_polls()
        else:
            await self._follow_stream()

    async def _follow_nats(self, session: "NatsSession") -> None:
        """Return when the connection is lost."""
        await self._catch_up()
        while (content := await session.receive()) is not None:
            if session.overflowed:
                session.overflowed = False
                await self._catch_up()
            try:
                notification = Notification.from_json(orjson.loads(content))
            except (KeyError, TypeError, ValueError) as error:
                raise RequestFailedError("A NATS message is not a notification") from error
            self._deliver(notification)

    async def _follow_stream(self) -> None:
        """Return when the stream ends. After two failures in a row the feed uses long polls."""
        self._stream_failures += 1
        if self._expected > self.cursor:
            await self._catch_up()
        self._retry_stream_at = asyncio.get_running_loop().time() + STREAM_RETRY_SECONDS
        notifications = self._transport.http.stream(
            self._agent, self.cursor, self._log_id, self._take_log_id
        )
        async for notification in notifications:
            self._stream_failures = 0
            self._outage.record_success()
            self._deliver(notification)

    async def _follow_long_polls(self) -> None:
        """Return when NATS is connected or the stream can be retried."""
        loop = asyncio.get_running_loop()
        wait = LONG_POLL_SECONDS if self._nats is None else LONG_POLL_WITHOUT_NATS_SECONDS
        while True:
            await self._fetch_page(wait)
            if self._nats is not None and self._nats.session is not None:
                return
            if self._nats is None and loop.time() >= self._retry_stream_at:
                self._stream_failures = 0
                return

    async def _catch_up(self) -> None:
        while True:
            page = await self._fetch_page(0.0)
            if page.next >= page.head:
                return

    async def _fetch_page(self, wait_seconds: float) -> NotificationPage:
        """Fetch and deliver one page after the cursor."""
        after = self.cursor
        request = requests.list_notifications(
            self._agent,
            after=after,
            limit=PAGE_LENGTH,
            wait_seconds=wait_seconds,
            log_id=self._log_id,
        )
        timeout = wait_seconds + RESPONSE_SECONDS_MAX
        page = await self._transport.execute(request, timeout_seconds=timeout)
        self._outage.record_success()
        if page.head < after:  # From a service that does not reject such a cursor itself.
            raise log_ends_before(after, page.head)
        self._take_log_id(page.log_id)
        if page.next < page.head and page.next <= after:
            raise RequestFailedError(
                f"The service returns no notifications after {after}, although its log continues"
            )
        for notification in page.notifications:
            self._deliver(notification)
        self._buffer.advance(page.next)
        return page

    def _take_log_id(self, log_id: str | None) -> None:
        self._log_id = log_id or self._log_id

    def _deliver(self, notification: Notification) -> None:
        if not self._buffer.add(notification):
            return
        for listener in self._listeners:
            listener(notification)
        self._wake_readers()

    def _wake_readers(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def create_nats_transport(
    nats_url: str, api_key: str, key: KeyInfo, agent_id: str
) -> "NatsTransport":
    """Return the unconnected NATS transport for an agent. Imports nats-py only here."""
    from quorate.client.transports.nats import NatsAddress, NatsTransport  # noqa: PLC0415

    reader = key.agent_id if key.role == "agent" and key.agent_id is not None else key.id
    return NatsTransport(
        NatsAddress(
            url=nats_url,
            api_key=api_key,
            tenant_id=key.tenant_id,
            agent_id=agent_id,
            reader=reader,
        )
    )
