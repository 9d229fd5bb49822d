"""One connection to NATS, and the loop that replaces it when it ends.

* nats-py's own reconnecting is not used. It sends its old buffers again, keeps futures that never
  complete, and can end in a client that stays closed.
* A lost connection ends everything that was built on it. The next connection starts from state that
  is known to be true.
* A silent server counts as lost: the client sends a PING every PROBE_SECONDS.
* The server does not validate the subjects, reply subjects and headers that other clients send. A
  message that cannot be decoded is dropped, and the connection continues with the next one
  (bus/nats_internals.py, bus/nats_parser_patch.py).
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

import structlog
from nats.errors import Error as NatsError

from quorate.bus import nats_internals, nats_parser_patch
from quorate.bus.auth.jwt import NatsKey
from quorate.runtime.nats_client import abort_transport

PROBE_SECONDS = 2.0
CLOSED_POLL_SECONDS = 0.1
RESPONSE_SECONDS_MAX = 5
CONNECT_SECONDS_MAX = 3
CLOSE_SECONDS_MAX = 0.5
RETRY_SECONDS_MIN = 0.05
# Agents reconnect by themselves; an agent that connects before our auth callout loses an attempt.
RETRY_SECONDS_MAX = 0.25
# After a connection that lasted this long, the next attempt follows at once.
STABLE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ConnectionLost(Exception):
    """The connection ended or the server is silent; a pending request may have been executed."""


class RequestTimeout(Exception):
    """No response arrived in time; the request may have been executed."""


class Connection:
    """A connected client; once lost, it is never connected again."""

    def __init__(self, name: str) -> None:
        self.client = nats_internals.StrictClient()
        self.name = name
        self.lost = asyncio.Event()
        self.last_active_at = time.monotonic()  # The last time the server was known to be alive.

    def record_activity(self) -> None:
        self.last_active_at = time.monotonic()

    @property
    def server_id(self) -> str:
        """The id of this run of nats-server; a restarted server has another id."""
        return nats_internals.get_server_id(self.client)

    @property
    def message_bytes_max(self) -> int:
        return int(self.client.max_payload)

    async def publish(
        self, subject: str, body: bytes, headers: dict[str, str], reply: str = ""
    ) -> None:
        """Send without waiting for the server; raises ConnectionLost when it is gone."""
        try:
            await self.client.publish(subject, body, reply, headers)
        except (NatsError, OSError) as error:
            raise ConnectionLost(f"{subject}: {error}") from error

    async def flush(self) -> None:
        """Return when the server has read everything sent before; raises ConnectionLost."""
        if self.client.is_closed:
            raise ConnectionLost("the server closed the connection")
        try:
            async with asyncio.timeout(RESPONSE_SECONDS_MAX):
                await nats_internals.wait_for_pong(self.client)
        except (NatsError, OSError) as error:
            raise ConnectionLost(str(error) or "the server does not respond") from error
        self.record_activity()

    async def request(self, subject: str, body: bytes) -> bytes:
        """Send a request and return the response; raises RequestTimeout.

        The timeout of nats-py is not used. It waits with ``asyncio.wait_for``, which up to Python
        3.11 loses a cancellation that arrives together with the response, so that the cancelled
        task would continue.
        """
        try:
            async with asyncio.timeout(RESPONSE_SECONDS_MAX):
                response = await self.client.request(subject, body, timeout=None)  # type: ignore[arg-type]  # It may be None.
        except (NatsError, OSError) as error:
            raise RequestTimeout(f"{subject}: {error}") from error
        self.record_activity()
        return bytes(response.data)

    async def watch(self) -> NoReturn:
        """Raise ConnectionLost as soon as the server is gone or silent."""
        while True:
            probe_at = time.monotonic() + PROBE_SECONDS
            while time.monotonic() < probe_at:
                # nats-py 2.16 omits the callback when its last bytes could not be sent.
                if self.lost.is_set() or self.client.is_closed:
                    raise ConnectionLost("the server closed the connection")
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSED_POLL_SECONDS):
                        await self.lost.wait()
            await self.flush()

    async def close(self) -> None:
        """Close within CLOSE_SECONDS_MAX, also when the server no longer reads."""
        try:
            with suppress(Exception):
                await asyncio.wait_for(self.client.close(), CLOSE_SECONDS_MAX)
        finally:  # A close that failed half-way leaves callbacks and unsent bytes.
            nats_internals.cancel_subscription_tasks(self.client)
            abort_transport(self.client)


Connect: TypeAlias = Callable[[], Awaitable[Connection]]
# Uses one connection until it is lost, or returns to get a new one.
ConnectionHandler: TypeAlias = Callable[[Connection], Awaitable[None]]


async def connect(
    url: str, key: NatsKey, name: str, *, handshake_first: ssl.SSLContext | None = None
) -> Connection:
    """Connect as one of the service's own users; raises ConnectionLost.

    ``url`` may name several servers of a cluster, separated by commas; any of them will do.
    With ``handshake_first`` the TLS handshake precedes the first message of the server.
    """
    nats_parser_patch.apply()
    connection = Connection(name)

    async def on_closed() -> None:
        connection.lost.set()

    async def on_error(error: Exception) -> None:
        log.debug("nats.client_error", connection=name, error=str(error))

    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await connection.client.connect(
                url.split(","),
                name=name,
                nkeys_seed_str=key.seed,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # Also limits the attempts of a first connect.
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS_MAX,
                tls=handshake_first,
                tls_handshake_first=handshake_first is not None,
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


async def keep_connected(connect: Connect, handle: ConnectionHandler, *, name: str) -> NoReturn:
    """Run ``handle`` on one connection after another, until the task is cancelled."""
    pause = RETRY_SECONDS_MIN
    is_down = False
    while True:
        started = time.monotonic()
        try:
            connection = await connect()
        except ConnectionLost as error:
            if not is_down:
                log.warning("nats.unreachable", connection=name, error=str(error))
            is_down = True
        else:
            log.info("nats.connected", connection=name)
            is_down = False
            await _run(handle, connection)
        if time.monotonic() - started > STABLE_SECONDS:
            pause = RETRY_SECONDS_MIN
        await asyncio.sleep(pause)
        pause = min(2 * pause, RETRY_SECONDS_MAX)


async def _run(handle: ConnectionHandler, connection: Connection) -> None:
    """Run ``handle`` until the connection is lost, or until an error, which is logged."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(connection.watch())
            tasks.create_task(_call(handle, connection))
    except* ConnectionLost as lost:
        log.warning(
            "nats.connection_lost", connection=connection.name, error=str(_first_error(lost))
        )
    except* Exception:
        # A bug must not end NATS delivery for the rest of the process.
        log.exception("nats.session_failed", connection=connection.name)
    finally:
        await connection.close()


async def _call(handle: ConnectionHandler, connection: Connection) -> NoReturn:
    await handle(connection)
    raise ConnectionLost("the handler asked for a new connection")


def _first_error(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
