"""A connection to NATS for pushes and commands, and the loop that replaces it when it ends.

* nats-py's own reconnecting is not used: a connection that is lost ends its ``Session`` for good,
  and whoever followed it knows that something may have been missed.
* Notifications arrive in the order in which the service said them, although they come by two
  subscriptions: both fill one queue. The queue is bounded; when it overflows, ``overflowed``
  says so, and what was dropped must be caught up on.
* A request that nobody answered may have been carried out all the same.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from quorate.client.errors import Unavailable
from quorate.client.requests import Ask
from quorate.client.serialization import Answered, headers, nats_content, read_nats
from quorate.client.transports.nats_connection import StrictClient
from quorate.domain.shared.records import record

T = TypeVar("T")

CONNECT_SECONDS_MAX = 3
PROBE_SECONDS = 5.0
LOOK_SECONDS = 0.5
PROBE_ANSWER_SECONDS_MAX = 3
CLOSE_SECONDS_MAX = 0.5
RETRY_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 2.0
SETTLED_SECONDS = 5.0  # A connection that lasted this long was a good one.
ANSWER_SECONDS_MAX = 3.0
DOUBT_SECONDS = 5.0  # After a command without an answer, the next ones go another way for so long.
PENDING_NOTIFICATIONS_MAX = 2_048

log = logging.getLogger("quorate.client")


@record
class Address:
    """Where NATS is, and as whom we speak there.

    ``url`` may name several servers of a cluster, separated by commas. ``reader`` is the agent's id
    for a key of role agent, else the key's id: the private inbox is named after it. Only an agent
    may send commands.
    """

    url: str
    api_key: str
    tenant_id: str
    agent_id: str
    reader: str

    @property
    def subjects(self) -> tuple[str, str]:
        root = f"quorate.{self.tenant_id}"
        return f"{root}.agent.{self.agent_id}.>", f"{root}.all.>"

    @property
    def inbox_prefix(self) -> str:
        return f"_INBOX_{self.tenant_id}_{self.reader}"

    @property
    def takes_commands(self) -> bool:
        return self.reader == self.agent_id


class Session:
    """One connection, from when it hears everything until it is lost."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lost = asyncio.Event()
        self.overflowed = False
        self._limits: set[asyncio.Timeout] = set()
        self._heard: asyncio.Queue[Msg | None] = asyncio.Queue(PENDING_NOTIFICATIONS_MAX)

    async def listen(self, subjects: tuple[str, ...]) -> None:
        """Nothing that this server says from now on is missed; raises NatsError.

        Others of a cluster hear a moment later that somebody listens here. What they said until
        then is missed, as a push may be, and noticed by the next heartbeat.
        """
        for subject in subjects:
            subscription: Any = await self.client.subscribe(subject, pending_bytes_limit=0)
            subscription._pending_queue = self._heard  # noqa: SLF001 - one queue keeps the order.
        await self.client.rtt(timeout=CONNECT_SECONDS_MAX)

    async def heard(self) -> bytes | None:
        """The next notification as it was said; None when no more will come."""
        if self.lost.is_set() and self._heard.empty():
            return None
        message = await self._heard.get()
        return None if message is None else message.data

    @asynccontextmanager
    async def unless_lost(self, seconds: float) -> AsyncIterator[None]:
        """What is done inside raises TimeoutError after so long, or when the session is lost."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def end(self) -> None:
        """It is lost: whoever waits hears of it, after the notifications that have come."""
        if not self.lost.is_set():
            now = asyncio.get_running_loop().time()
            for limit in self._limits:
                limit.reschedule(now)
            self.lost.set()
            if self._heard.full():
                self._heard.get_nowait()
                self.overflowed = True
            self._heard.put_nowait(None)


class NatsLink:
    """Keeps one session after another, for as long as it is open."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._servers = deque(server.strip() for server in address.url.split(","))
        random.shuffle(self._servers)  # Agents spread over the servers of a cluster.
        self._session: Session | None = None
        self._attempts = 0
        self._tried = asyncio.Event()
        self._doubted_until = float("-inf")

    @property
    def session(self) -> Session | None:
        """The present one, if there is any."""
        return self._session

    @property
    def takes_commands(self) -> bool:
        """Whether it makes sense to send a command this way now."""
        now = asyncio.get_running_loop().time()
        ready = self._session is not None and now >= self._doubted_until
        return ready and self._address.takes_commands

    async def tried(self, seconds: float) -> None:
        """Return when one server has let us in, or each was asked once, or after ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    # -- Commands ------------------------------------------------------------

    async def attempt(self, ask: Ask[T], key: str, seconds: float, asked_at: float) -> Answered[T]:
        """The answer, within ``seconds``; raises CallFailed."""
        session = self._session
        if session is None:
            raise Unavailable("NATS is not connected")
        address = self._address
        subject = f"quorate.{address.tenant_id}.cmd.{address.agent_id}.{ask.name}"
        try:
            async with session.unless_lost(min(seconds, ANSWER_SECONDS_MAX)):
                reply = await session.client.request(
                    subject,
                    nats_content(ask),
                    # Watched outside: nats-py's own can lose the caller's cancellation.
                    timeout=None,  # type: ignore[arg-type]  # It may be None.
                    headers=headers(ask, key) or None,
                )
        except (NatsError, OSError) as error:
            self._doubted_until = asyncio.get_running_loop().time() + DOUBT_SECONDS
            raise Unavailable(f"no answer over NATS: {error}") from error
        return read_nats(ask, reply.headers, reply.data, asked_at)

    # -- Staying connected ---------------------------------------------------

    async def run(self) -> None:
        """Connect, and connect again; ends only by being cancelled."""
        pause = RETRY_SECONDS_MIN
        while True:
            began_at = asyncio.get_running_loop().time()
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - HTTP goes on, whatever NATS comes up with.
                log.info("no NATS at present: %s", str(error) or type(error).__name__)
            if asyncio.get_running_loop().time() - began_at > SETTLED_SECONDS:
                pause = RETRY_SECONDS_MIN
            await asyncio.sleep(pause * (1 + random.random()) / 2)  # noqa: S311 - no secret.
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _once(self) -> None:
        """One connection, from its beginning to its end; the next is to another server."""
        session = Session(StrictClient())
        try:
            await self._connect(session)
            self._session = session
            self._tried.set()
            await self._watch(session)
        finally:
            self._session = None
            self._servers.rotate(-1)
            self._attempts += 1
            if self._attempts >= len(self._servers):
                self._tried.set()
            session.end()
            await _close(session.client)

    async def _connect(self, session: Session) -> None:
        async def on_closed() -> None:
            session.end()

        async def on_error(error: Exception) -> None:
            if isinstance(error, SlowConsumerError):
                session.overflowed = True

        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await session.client.connect(
                self._servers[0],
                token=self._address.api_key,
                name="quorate.client",
                inbox_prefix=self._address.inbox_prefix,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # Also bounds the attempts of a first connect.
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS_MAX,
                closed_cb=on_closed,
                error_cb=on_error,
            )
            if not session.client.is_connected:  # A slow login ends without an error.
                raise NatsError("the login was not answered in time")
            await session.listen(self._address.subjects)

    async def _watch(self, session: Session) -> None:
        """Return when the connection is lost; raises NatsError when the server is silent."""
        while True:
            probe_at = asyncio.get_running_loop().time() + PROBE_SECONDS
            while asyncio.get_running_loop().time() < probe_at:
                # The client forgets to call back when its last bytes could not be sent.
                if session.lost.is_set() or session.client.is_closed:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await session.lost.wait()
            await session.client.rtt(timeout=PROBE_ANSWER_SECONDS_MAX)


async def _close(client: Client) -> None:
    """Close within CLOSE_SECONDS_MAX, also when the server reads nothing any more."""
    try:
        with suppress(Exception):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS_MAX)
    finally:  # A refused login leaves it open, and so does a close that is cancelled.
        stream: Any = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
        if stream is not None:
            stream.transport.abort()
