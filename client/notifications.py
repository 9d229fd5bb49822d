"""All notifications that concern one agent: in order, each once, and none missing without a word.

* ``cursor`` is the sequence up to which everything was delivered. Whatever brings notifications (pushes
  over NATS, a stream, pages), only what is newer than the cursor is delivered.
* Pushes may be lost: when a connection is lost, when our queue overflows, or when a heartbeat's
  answer names a notification that has not come. Then the feed asks for what is after its cursor before
  it delivers anything newer.
* Over HTTP alone the feed follows a stream of server-sent events. Where that does not work (a
  proxy keeps it back, or cuts it), the feed asks by long polls, and tries the stream again later.
* What the service no longer keeps is said as a notification named ``gap``.
* A feed ends when it is closed, or when the service declines for good (a revoked key): then
  everybody who reads it gets that failure.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson

from quorate.client import requests
from quorate.client.background_tasks import Background
from quorate.client.clock import awake_or_not
from quorate.client.config import DEFAULT, Settings
from quorate.client.environment import service
from quorate.client.errors import CallFailed, Unavailable
from quorate.client.notification_buffer import Backlog
from quorate.client.rejections import InternalError, Refused
from quorate.client.results import KeyInfo, Notification, NotificationPage
from quorate.client.transports.failover import FailoverTransport
from quorate.client.transports.http import OverHttp
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.client.transports.nats import NatsLink, Session

PAGE_LENGTH = 100
WAIT_SECONDS = 25.0
WAIT_WITHOUT_NATS_SECONDS = 5.0  # While NATS is away, look this often whether it is back.
ANSWER_SECONDS_MAX = 15.0
GRACE_SECONDS = 1.0  # A notification that a heartbeat names may still be on its way for so long.
STRIKES_MAX = 2
STREAM_AGAIN_SECONDS = 300.0
PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 2.0
SETTLED_SECONDS = 5.0
FIRST_CONNECTION_SECONDS_MAX = 2.0

log = logging.getLogger("quorate.client")


class AnotherLog(CallFailed):
    """What was seen before is not in the service's log: a cursor means nothing there."""


def _for_good(failure: CallFailed) -> bool:
    """Whether asking again is in vain. What is between us and the service may say anything."""
    declined = isinstance(failure, Refused) and not isinstance(failure, InternalError)
    return declined or isinstance(failure, AnotherLog)


class NotificationFeed:
    """The notifications of one agent, for as many readers as there are; ``run`` brings them."""

    def __init__(
        self, asker: FailoverTransport, who: AgentRef, cursor: int, link: "NatsLink | None" = None
    ) -> None:
        self._asker = asker
        self._who = who
        self._link = link
        self._start = cursor
        self._backlog = Backlog(cursor)
        self._listeners: list[Callable[[Notification], None]] = []
        self._news = asyncio.Event()
        self._ended = False
        self._failure: CallFailed | None = None
        self._named = 0  # The newest notification of which a heartbeat told.
        self._doubt = asyncio.Event()
        self._strikes = 0
        self._stream_again_at = float("-inf")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str | None = None,
        api_key: str | None = None,
        *,
        agent: AgentRef | None = None,
        nats_url: str | None = None,
        after: int | None = None,
        settings: Settings = DEFAULT,
    ) -> AsyncIterator["NotificationFeed"]:
        """Follow an agent's notifications without being that agent: nothing is registered.

        ``agent`` may be left out for an agent's own key. ``after`` is the sequence that was seen
        last; left out, the feed begins now. With ``nats_url``, notifications are pushed; a tenant's key
        must then name the agent by its id. Raises Refused, Unavailable, or ValueError when nobody
        says where the service is.
        """
        where = service(url, api_key, nats_url)
        who = agent or AgentRef()
        http = OverHttp(where.url, where.api_key)
        asker = FailoverTransport(http, awake_or_not, settings.within_seconds)
        background = Background()
        try:
            if after is None:
                after = (
                    await asker.result(requests.list_notifications(who, after=0, limit=1))
                ).head
            if where.nats_url is not None:
                key = await asker.result(requests.own_key())
                agent_id = key.agent_id or who.id
                if agent_id is not None:
                    asker.link = link_of(where.nats_url, where.api_key, key, agent_id)
                    background.start(asker.link.run, "the connection to NATS")
                    await asker.link.tried(FIRST_CONNECTION_SECONDS_MAX)
            feed = cls(asker, who, after, asker.link)
            background.start(feed.run, "the feed of notifications")
            try:
                yield feed
            finally:
                feed.close()
        finally:
            await background.end()
            await asker.close()

    # -- For readers ---------------------------------------------------------

    @property
    def cursor(self) -> int:
        """The sequence up to which everything was delivered: resume from here."""
        return self._backlog.cursor

    async def notifications(self, after: int | None = None) -> AsyncIterator[Notification]:
        """Notifications after ``after`` (by default, after where the feed began), until it is closed.

        Each reader has its own place. Keep the ``sequence`` of the last notification you dealt with, and
        give it as ``after`` to go on there, also in another process. Raises CallFailed when the
        service declines for good.
        """
        position = self._start if after is None else after
        while not self._ended:
            if self._backlog.behind(position):
                page = await self._page_for_one_behind(position)
                for notification in page.notifications if page is not None else ():
                    position = notification.sequence
                    yield notification
                position = position if page is None else max(position, page.next)
            elif (found := self._backlog.following(position)) is not None:
                position = found.sequence
                yield found
            elif self._failure is not None:
                raise self._failure
            else:
                await self._news.wait()

    async def _page_for_one_behind(self, position: int) -> NotificationPage | None:
        """None when the service cannot be asked now; raises CallFailed when it declines."""
        ask = requests.list_notifications(self._who, after=position, limit=PAGE_LENGTH)
        try:
            return await self._asker.result(ask)
        except CallFailed as failure:
            if _for_good(failure):
                raise
            log.info("no older notifications at present: %s", failure)
        await asyncio.sleep(PAUSE_SECONDS_MAX)
        return None

    def listen(self, hear: Callable[[Notification], None]) -> None:
        """Call ``hear`` for each notification that is delivered from now on."""
        self._listeners.append(hear)

    def named(self, sequence: int) -> None:
        """A heartbeat's answer says that there is a notification with this sequence."""
        self._named = max(self._named, sequence)
        if self._named > self.cursor:
            self._doubt.set()

    def close(self) -> None:
        """Everybody who reads comes to an end."""
        self._ended = True
        self._wake()

    # -- Bringing them -------------------------------------------------------

    async def run(self) -> None:
        """Follow the service until cancelled, or declined for good."""
        pause = PAUSE_SECONDS_MIN
        loop = asyncio.get_running_loop()
        while not self._ended:
            began_at = loop.time()
            try:
                await self._follow_until_in_doubt()
            except Unavailable as error:
                log.info("no notifications at present: %s", error)
            except CallFailed as failure:
                if _for_good(failure):
                    self._failure = failure
                    self._wake()
                    return
                log.warning("no notifications at present: %s", failure)
            if loop.time() - began_at > SETTLED_SECONDS:
                pause = PAUSE_SECONDS_MIN
            await asyncio.sleep(pause * (1 + random.random()) / 2)  # noqa: S311 - no secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _follow_until_in_doubt(self) -> None:
        following = asyncio.ensure_future(self._follow())
        doubting = asyncio.ensure_future(self._missed())
        try:
            await asyncio.wait({following, doubting}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            else:
                log.info("a notification did not arrive: catching up")
                self._strikes += 1
        finally:
            following.cancel()
            doubting.cancel()
            await asyncio.gather(following, doubting, return_exceptions=True)

    async def _missed(self) -> None:
        """Return when a notification that was named has not come, and nothing else has either."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            while self.cursor < self._named:
                was = self.cursor
                await asyncio.sleep(GRACE_SECONDS)
                if self.cursor == was:
                    return

    async def _follow(self) -> None:
        session = self._link.session if self._link is not None else None
        if session is not None:
            await self._by_push(session)
        elif self._link is not None or self._strikes >= STRIKES_MAX:
            await self._by_asking()
        else:
            await self._by_stream()

    async def _by_push(self, session: "Session") -> None:
        """Until the connection is lost."""
        await self._catch_up()
        while (said := await session.heard()) is not None:
            if session.overflowed:
                session.overflowed = False
                await self._catch_up()
            try:
                notification = Notification.read(orjson.loads(said))
            except (KeyError, TypeError, ValueError) as error:
                raise CallFailed("what was pushed is no notification of Quorate's") from error
            self._deliver(notification)

    async def _by_stream(self) -> None:
        """Until the stream ends; one that breaks twice in a row is not tried for a while."""
        self._strikes += 1
        if self._named > self.cursor:
            await self._catch_up()
        self._stream_again_at = asyncio.get_running_loop().time() + STREAM_AGAIN_SECONDS
        async for notification in self._asker.http.stream(self._who, self.cursor):
            self._strikes = 0
            self._deliver(notification)

    async def _by_asking(self) -> None:
        """Until pushes or the stream can be tried again."""
        loop = asyncio.get_running_loop()
        wait = WAIT_SECONDS if self._link is None else WAIT_WITHOUT_NATS_SECONDS
        while True:
            await self._ask(wait)
            if self._link is not None and self._link.session is not None:
                return
            if self._link is None and loop.time() >= self._stream_again_at:
                self._strikes = 0
                return

    async def _catch_up(self) -> None:
        while True:
            page = await self._ask(0.0)
            if page.next >= page.head:
                return

    async def _ask(self, wait_seconds: float) -> NotificationPage:
        """One page after the cursor, delivered."""
        after = self.cursor
        ask = requests.list_notifications(
            self._who, after=after, limit=PAGE_LENGTH, wait_seconds=wait_seconds
        )
        page = await self._asker.result(ask, within_seconds=wait_seconds + ANSWER_SECONDS_MAX)
        if page.head < after:
            raise AnotherLog(f"the service's log ends before {after}: is it another one, or lost?")
        if page.next < page.head and page.next <= after:
            raise CallFailed(
                f"the service gives no notifications after {after}, but says there are more"
            )
        for notification in page.notifications:
            self._deliver(notification)
        self._backlog.pass_over(page.next)
        return page

    def _deliver(self, notification: Notification) -> None:
        if not self._backlog.add(notification):
            return
        for hear in self._listeners:
            hear(notification)
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def link_of(nats_url: str, api_key: str, key: KeyInfo, agent_id: str) -> "NatsLink":
    """The way over NATS to what concerns an agent. nats-py is loaded here, when it is needed."""
    from quorate.client.transports.nats import Address, NatsLink  # noqa: PLC0415

    reader = key.agent_id if key.role == "agent" and key.agent_id is not None else key.id
    return NatsLink(
        Address(
            url=nats_url,
            api_key=api_key,
            tenant_id=key.tenant_id,
            agent_id=agent_id,
            reader=reader,
        )
    )
