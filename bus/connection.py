"""One connection to NATS, and the loop that replaces it when it ends.

nats-py's own reconnecting is not used: it sends again what lay in its buffers, keeps futures that
nobody answers, and can end in a closed client for good. Here a lost connection ends everything
that was built on it, and the next one starts from what is known to be true. A server that is
silent counts as lost: it is asked for a sign of life every PROBE_SECONDS.

The server hands on what strangers wrote into subjects, reply subjects and headers without a look
at it. A message that is no text is left out; it must not end the reading of all others. So lines
are taken apart as the server puts them together: for it a word ends at a space, a tab or a line's
end, and everything else may stand in one. nats-py ends words at a form feed as well, and gives the
connection up when the rest of the line makes no sense.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

import structlog
from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.protocol import parser

from quorate.bus.auth.jwt import NatsKey
from quorate.runtime.log_throttle import ThrottledWarning

PROBE_SECONDS = 2.0
LOOK_SECONDS = 0.1
ANSWER_SECONDS_MAX = 5
CONNECT_SECONDS_MAX = 3
CLOSE_SECONDS_MAX = 0.5
RETRY_SECONDS_MIN = 0.05
# Agents come back on their own; whoever is here before our callout loses its first attempt.
RETRY_SECONDS_MAX = 0.25
# A session that lasted this long was a good one: the next attempt follows at once.
SETTLED_SECONDS = 5.0
SUBJECT_SHOWN_MAX = 120

# The parser has no other way to be told.
parser.MSG_RE = re.compile(rb"MSG +([^ \t\n]+) +(\d+) +(([^ \t\n]+) +)?(\d+)\r\n")
parser.HMSG_RE = re.compile(rb"HMSG +([^ \t\n]+) +(\d+) +(([^ \t\n]+) +)?(\d+) +(\d+)\r\n")

log = structlog.get_logger(__name__)
_unreadable = ThrottledWarning("nats_message_unreadable")


class ConnectionLost(Exception):
    """The connection ended or the server fell silent; what was being asked may have happened."""


class RequestTimeout(Exception):
    """Nobody answered a request, although the server may be there; it may have been done."""


class _Client(Client):
    """Its reading survives bytes that cannot be decoded; with ``tls://`` it never goes without."""

    def _connect_command(self) -> bytes:
        """Refuse a server without TLS when the URL asks for TLS; nats-py leaves this to the server.

        The SDK does the same in client/transports/nats_connection.py.
        """
        server: Any = self._current_server
        if server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise NatsError(f"{server.uri.netloc} does not speak TLS")
        command: bytes = super()._connect_command()
        return command

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg | None:
        try:
            message: Msg = super()._build_message(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            _unreadable.warn(subject=ascii(subject[:SUBJECT_SHOWN_MAX]))
            return None
        return message


class Connection:
    """A client that is connected now and is never connected again once it is lost."""

    def __init__(self, name: str) -> None:
        self.client = _Client()
        self.name = name
        self.lost = asyncio.Event()
        self.heard_at = time.monotonic()  # The last time the server was known to be alive.

    def heard(self) -> None:
        """The server gave a sign of life."""
        self.heard_at = time.monotonic()

    @property
    def server_id(self) -> str:
        """Which run of nats-server this is; a restarted server has another id."""
        return str(self.client._server_info.get("server_id", ""))  # noqa: SLF001 - has no getter.

    @property
    def message_bytes_max(self) -> int:
        return int(self.client.max_payload)

    async def publish(
        self, subject: str, body: bytes, headers: dict[str, str], reply: str = ""
    ) -> None:
        """Send without waiting for the server; raises ConnectionLost when there is none."""
        try:
            await self.client.publish(subject, body, reply, headers)
        except (NatsError, OSError) as error:
            raise ConnectionLost(f"{subject}: {error}") from error

    async def flush(self) -> None:
        """Return when the server has read all that was sent before; raises ConnectionLost."""
        if self.client.is_closed:
            raise ConnectionLost("the server ended the connection")
        client: Any = self.client
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                # Not by flush() or rtt(): they send the question before what waits to be sent, ask
                # nothing when the client's reader has died, and can lose a cancellation.
                client._pongs.append(pong)  # noqa: SLF001
                await client._send_command(PING_PROTO)  # noqa: SLF001
                await client._flush_pending()  # noqa: SLF001
                await asyncio.shield(pong)  # Its answer may still come, and finds it.
        except (NatsError, OSError) as error:
            raise ConnectionLost(str(error) or "the server does not answer") from error
        self.heard()

    async def request(self, subject: str, body: bytes) -> bytes:
        """Ask and return the answer; raises Unanswered.

        nats-py waits by ``asyncio.wait_for``, which up to Python 3.11 loses a cancellation that
        comes together with the answer: and whoever was to end would go on for good.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                answer = await self.client.request(subject, body, timeout=None)  # type: ignore[arg-type]  # It may be None.
        except (NatsError, OSError) as error:
            raise RequestTimeout(f"{subject}: {error}") from error
        self.heard()
        return bytes(answer.data)

    async def watch(self) -> NoReturn:
        """Raise ConnectionLost as soon as the server is gone or silent."""
        while True:
            probe_at = time.monotonic() + PROBE_SECONDS
            while time.monotonic() < probe_at:
                # The client forgets to call back when its last bytes could not be sent.
                if self.lost.is_set() or self.client.is_closed:
                    raise ConnectionLost("the server ended the connection")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self.lost.wait()
            await self.flush()

    async def close(self) -> None:
        """Close within CLOSE_SECONDS_MAX, also when the server reads nothing any more."""
        try:
            with suppress(Exception):
                await asyncio.wait_for(self.client.close(), CLOSE_SECONDS_MAX)
        finally:
            self._drop()

    def _drop(self) -> None:
        """End what a close that failed half-way leaves behind: callbacks, and unsent bytes."""
        subscriptions: Any = self.client._subs  # noqa: SLF001
        for subscription in subscriptions.values():
            if (task := subscription._wait_for_msgs_task) is not None:  # noqa: SLF001
                task.cancel()
        stream: Any = getattr(self.client._transport, "_io_writer", None)  # noqa: SLF001
        if stream is not None:
            stream.transport.abort()


Connect: TypeAlias = Callable[[], Awaitable[Connection]]
Session: TypeAlias = Callable[[Connection], Awaitable[None]]


async def connect(url: str, key: NatsKey, name: str) -> Connection:
    """Connect as one of our own users; raises ConnectionLost when there is nobody to talk to.

    ``url`` may name several servers of a cluster, separated by commas; any of them will do.
    """
    connection = Connection(name)

    async def on_closed() -> None:
        connection.lost.set()

    async def on_error(error: Exception) -> None:
        log.debug("nats_client_error", connection=name, error=str(error))

    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await connection.client.connect(
                url.split(","),
                name=name,
                nkeys_seed_str=key.seed,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # Also bounds the attempts of a first connect.
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS_MAX,
                closed_cb=on_closed,
                error_cb=on_error,
            )
    except (NatsError, OSError) as error:
        await connection.close()
        raise ConnectionLost(f"no NATS at {url}: {str(error) or type(error).__name__}") from error
    except BaseException:
        await connection.close()
        raise
    return connection


async def keep_connected(connect: Connect, session: Session, *, name: str) -> NoReturn:
    """Run ``session`` on one connection after another, for as long as the task lives."""
    pause = RETRY_SECONDS_MIN
    down = False
    while True:
        started = time.monotonic()
        try:
            connection = await connect()
        except ConnectionLost as error:
            if not down:
                log.warning("nats_unreachable", connection=name, error=str(error))
            down = True
        else:
            log.info("nats_connected", connection=name)
            down = False
            await _run(session, connection)
        if time.monotonic() - started > SETTLED_SECONDS:
            pause = RETRY_SECONDS_MIN
        await asyncio.sleep(pause)
        pause = min(2 * pause, RETRY_SECONDS_MAX)


async def _run(session: Session, connection: Connection) -> None:
    """One session to its end: the connection's, or its own by an error that is logged."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(connection.watch())
            tasks.create_task(_call(session, connection))
    except* ConnectionLost as lost:
        log.warning("nats_connection_lost", connection=connection.name, error=str(_first(lost)))
    except* Exception:
        # A bug must not end the push for good.
        log.exception("nats_session_failed", connection=connection.name)
    finally:
        await connection.close()


async def _call(session: Session, connection: Connection) -> NoReturn:
    await session(connection)
    raise ConnectionLost("the session asked for a new connection")


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
