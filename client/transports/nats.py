"""NATS transport: notifications and commands over a connection that is replaced when it is lost.

* The reconnect function of nats-py is not used. The loss of a connection ends its ``NatsSession``,
  so the reader of the session knows that it may have missed notifications.
* Notifications keep the order in which the service published them, across both subscriptions: the
  subscriptions share one bounded queue. ``overflowed`` reports that the queue dropped some of them;
  the reader must then list the missing ones.
* A command without a response may have been carried out.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from typing import TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from quorate.client.errors import UnavailableError
from quorate.client.outages import Outage
from quorate.client.process_guard import ProcessGuard
from quorate.client.request_builder import Request
from quorate.client.serialization import (
    Response,
    encode_nats_message,
    idempotency_headers,
    parse_nats_reply,
)
from quorate.client.transports.nats_internals import subscribe_to_queue
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.domain.shared.records import record
from quorate.runtime.nats_client import TlsClient, abort_transport

T = TypeVar("T")

CONNECT_SECONDS_MAX = 3
PROBE_SECONDS = 5.0
CHECK_SECONDS = 0.5
PROBE_REPLY_SECONDS_MAX = 3
CLOSE_SECONDS_MAX = 0.5
RETRY_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 2.0
STABLE_SECONDS = 5.0  # A connection that lasted this long resets the backoff.
REPLY_SECONDS_MAX = 3.0
SUSPENSION_SECONDS = 5.0  # After a command without a response, commands use HTTP for this time.
PENDING_NOTIFICATIONS_MAX = 2_048

logger = logging.getLogger("quorate.client")


@record
class NatsAddress:
    """Address of the NATS servers, and the identity to use there.

    * ``url``: one server, or several servers of a cluster separated by commas.
    * ``agent_id``: the agent whose notifications to receive.
    * ``reader``: names the private inbox. It is the agent id for an agent key, else the key id.
      Only an agent key may send commands.
    """

    url: str
    api_key: str = field(repr=False)
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
    def accepts_commands(self) -> bool:
        return self.reader == self.agent_id


class NatsSession:
    """One connection, from its subscriptions until it is lost."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lost = asyncio.Event()
        self.overflowed = False
        self._timeouts: set[asyncio.Timeout] = set()
        self._received: asyncio.Queue[Msg | None] = asyncio.Queue(PENDING_NOTIFICATIONS_MAX)

    async def subscribe(self, subjects: tuple[str, ...]) -> None:
        """Subscribe; on return, this server delivers every later notification.

        The other servers of a cluster learn of the subscription a moment later. The session misses
        what they publish until then; the next heartbeat detects it. Raises NatsError.
        """
        for subject in subjects:
            await subscribe_to_queue(self.client, subject, self._received)
        await self.client.rtt(timeout=CONNECT_SECONDS_MAX)

    async def receive(self) -> bytes | None:
        """Wait for the next notification; return None when the session is lost and drained."""
        if self.lost.is_set() and self._received.empty():
            return None
        message = await self._received.get()
        return None if message is None else message.data

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError in the block after ``seconds``, or when the session is lost."""
        async with asyncio.timeout(seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    def close(self) -> None:
        """Mark the session as lost, and wake its waiters after the received notifications."""
        if not self.lost.is_set():
            now = asyncio.get_running_loop().time()
            for timeout in self._timeouts:
                timeout.reschedule(now)
            self.lost.set()
            if self._received.full():
                self._received.get_nowait()
                self.overflowed = True
            self._received.put_nowait(None)


class NatsTransport:
    """Connects, and connects again whenever the connection is lost, while ``run`` runs."""

    def __init__(self, address: NatsAddress) -> None:
        self._address = address
        self._servers = deque(server.strip() for server in address.url.split(","))
        random.shuffle(self._servers)  # Distributes the agents over the servers of a cluster.
        self._session: NatsSession | None = None
        self._attempts = 0
        self._outage = Outage("The connection to NATS")
        self._first_round_done = asyncio.Event()
        self._suspended_until = float("-inf")
        self._process = ProcessGuard()

    @property
    def session(self) -> NatsSession | None:
        """The current session; None while NATS is not connected."""
        return self._session

    @property
    def accepts_commands(self) -> bool:
        """Whether to send a command over NATS now."""
        now = asyncio.get_running_loop().time()
        is_ready = self._session is not None and now >= self._suspended_until
        return is_ready and self._address.accepts_commands

    async def wait_for_first_round(self, seconds: float) -> None:
        """Return when connected, after one attempt at each server, or after ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._first_round_done.wait()

    # -- Commands ------------------------------------------------------------

    async def attempt(
        self, request: Request[T], key: str, seconds: float, sent_at: float
    ) -> Response[T]:
        """Send a command once, under the idempotency key ``key``.

        Raises UnavailableError without a response in ``seconds``, else RequestFailedError or one of
        its subclasses.
        """
        session = self._session
        if session is None:
            raise UnavailableError("NATS is not connected")
        message = encode_nats_message(request)
        if len(message) > BODY_BYTES_MAX:
            raise UnavailableError("The request is too large for NATS")
        address = self._address
        subject = f"quorate.{address.tenant_id}.cmd.{address.agent_id}.{request.name}"
        try:
            async with session.timeout(min(seconds, REPLY_SECONDS_MAX)):
                reply = await session.client.request(
                    subject,
                    message,
                    # The timeout of nats-py 2.16 can lose the cancellation of the caller.
                    timeout=None,  # type: ignore[arg-type]  # None is allowed.
                    headers=idempotency_headers(request, key) or None,
                )
        except (NatsError, OSError) as error:
            self._suspended_until = asyncio.get_running_loop().time() + SUSPENSION_SECONDS
            raise UnavailableError(f"No response over NATS: {error}") from error
        return parse_nats_reply(request, reply.headers, reply.data, sent_at)

    # -- Staying connected ---------------------------------------------------

    async def run(self) -> None:
        """Stay connected until cancelled. Reconnects use exponential backoff with jitter."""
        pause = RETRY_SECONDS_MIN
        while True:
            started_at = asyncio.get_running_loop().time()
            try:
                await self._run_session()
            except Exception as error:  # noqa: BLE001 - HTTP remains, whatever NATS raises.
                reason = str(error) or type(error).__name__
                self._outage.record_failure(reason)
            if asyncio.get_running_loop().time() - started_at > STABLE_SECONDS:
                pause = RETRY_SECONDS_MIN
            await asyncio.sleep(pause * (1 + random.random()) / 2)  # noqa: S311 - no secret.
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _run_session(self) -> None:
        """Run one connection until it is lost. The next connection uses the next server."""
        session = NatsSession(TlsClient())
        try:
            await self._connect(session)
            self._session = session
            self._outage.record_success()
            self._first_round_done.set()
            await self._watch(session)
        finally:
            self._session = None
            self._servers.rotate(-1)
            self._attempts += 1
            if self._attempts >= len(self._servers):
                self._first_round_done.set()
            session.close()
            if not self._process.is_forked:  # The connection belongs to the parent.
                await _close(session.client)

    async def _connect(self, session: NatsSession) -> None:
        async def on_closed() -> None:
            session.close()

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
                max_reconnect_attempts=1,  # Also limits the attempts of the first connect.
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS_MAX,
                closed_cb=on_closed,
                error_cb=on_error,
            )
            if not session.client.is_connected:  # nats-py 2.16 raises nothing for a slow login.
                raise NatsError("The server did not answer the login in time")
            await session.subscribe(self._address.subjects)

    async def _watch(self, session: NatsSession) -> None:
        """Return when the connection is lost. Raises NatsError when the server is silent."""
        while True:
            probe_at = asyncio.get_running_loop().time() + PROBE_SECONDS
            while asyncio.get_running_loop().time() < probe_at:
                # nats-py 2.16 skips closed_cb when it could not send its last bytes.
                if session.lost.is_set() or session.client.is_closed:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await session.lost.wait()
            await session.client.rtt(timeout=PROBE_REPLY_SECONDS_MAX)


async def _close(client: Client) -> None:
    """Close within CLOSE_SECONDS_MAX, also when the server no longer reads."""
    try:
        with suppress(Exception):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS_MAX)
    finally:  # A rejected login leaves the socket open, and so does a cancelled close.
        abort_transport(client)
