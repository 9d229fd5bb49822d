"""`quorate serve`: start the service, serve until a signal, and stop cleanly.

The process ends within 5 seconds of SIGTERM. It accepts no new connections, ends event
streams, completes accepted commands, publishes pending notifications and stops nats-server.
"""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

import quorate
from quorate.application.tracing import TracingNotInstalled
from quorate.bus.embedded.configuration import KeysUnreadable
from quorate.bus.embedded.server import ServerFailed, reachable_host
from quorate.domain.shared.records import record
from quorate.eventlog.database import DatabaseUnusable, SchemaOutdated
from quorate.eventlog.database_url import UnknownDatabase
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.process_lock import DataDirLock, Locked
from quorate.runtime.signals import without_ignored
from quorate.runtime.url_redaction import redact_url
from quorate.server.acceptor import Acceptor
from quorate.server.bootstrap import InvalidKeyFile, create_data_dir, provide_keys
from quorate.server.connection_table import ConnectionTable
from quorate.server.container import Options, run_service
from quorate.server.http_protocol import BoundedHttpProtocol
from quorate.server.request_turns import RequestTurns
from quorate.server.smtp_url import InvalidSmtpUrl

if TYPE_CHECKING:
    from quorate.api.app import CreateHttpApplication

DRAIN_SECONDS_MAX = 2
DRAIN_POLL_SECONDS = 0.005
DATE_SECONDS = 1.0
OPEN_FILES_MAX = 16_384  # Each connection is a file; the usual soft limit is 1,024.
KEEP_ALIVE_SECONDS = 75
BACKLOG_CONNECTIONS = 1_024
UNSENT_KERNEL_BYTES = 32 * 1024  # Of one connection. The process keeps and counts the rest.
COLLECT_EVERY_OBJECTS = 50_000
# How long the event loop may hold the interpreter while database threads wait. The default of 5 ms
# is longer than a commit.
SWITCH_SECONDS = 0.0003
# Errors that an operator can fix; the message says how.
_START_ERRORS = (
    *(Locked, ServerFailed, SchemaOutdated, DatabaseUnusable, DatabaseUnavailable),
    *(KeysUnreadable, InvalidKeyFile, InvalidSmtpUrl, TracingNotInstalled, UnknownDatabase),
)
_logger = structlog.get_logger(__name__)


@record
class Addresses:
    """The URLs of the service for clients, and how many events it found at its start."""

    url: str
    nats_url: str
    events: int | None = None  # None: unknown to this process.
    is_nats_connected: bool = True  # Unknown for workers, which connect on their own.


@dataclass(eq=False)
class CannotStart(Exception):
    """The service cannot start; the message says why and what to do."""

    reason: str

    def __str__(self) -> str:
        return self.reason


async def serve(
    options: Options,
    *,
    host: str,
    port: int,
    announce: Callable[[Addresses], None],
    worker_socket: socket.socket | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; call ``announce`` when the service accepts requests.

    A worker gets the shared socket; its parent holds the lock of the data directory.
    """
    process = "service" if worker_socket is None else "worker"
    create_data_dir(options.data_dir)
    _raise_open_file_limit()
    with _locked_listener(options, host, port, worker_socket) as listener:
        url = f"http://{reachable_host(host)}:{listener.getsockname()[1]}"
        # FastAPI takes as long to import as nats-server takes to start.
        loading = asyncio.create_task(asyncio.to_thread(_load_application))
        async with run_service(options) as running:
            addresses = Addresses(
                url=url,
                nats_url=running.nats_service.url,
                events=await running.service.log.committed_head(),
                is_nats_connected=running.nats_service.is_connected(),
            )
            if options.role.writes:
                await provide_keys(
                    running.service, options, url=addresses.url, nats_url=addresses.nats_url
                )

            def on_start() -> None:
                log_started(f"{process}.started", options, addresses)
                announce(addresses)

            create_http_application = await loading
            table = ConnectionTable(options.connection_limits, options.trusted_proxies)
            running.service.metrics.watch_connections(table)
            server = _Server(
                listener,
                create_http_application(
                    running.service,
                    fast_lane=options.fast_lane,
                    cors_origins=options.cors_origins,
                    public_url=addresses.url,
                ),
                table=table,
                on_start=on_start,
                end_streams=running.service.subscriptions.close,
            )
            await server.serve()
    log_stopped(f"{process}.stopped")


def _load_application() -> "CreateHttpApplication":
    from quorate.api.app import create_http_application  # noqa: PLC0415 - see serve().

    return create_http_application


def log_started(event: str, options: Options, addresses: Addresses) -> None:
    """Log ``service.started`` or ``worker.started``, before the banner."""
    role = {"role": options.role.name} if options.role.is_part else {}
    _logger.info(
        event,
        **role,
        version=quorate.__version__,
        data_dir=str(options.data_dir),
        http=addresses.url,
        nats=redact_url(addresses.nats_url),
        pid=os.getpid(),
    )


def log_stopped(event: str) -> None:
    """Log ``service.stopped`` or ``worker.stopped``, after everything else has ended."""
    _logger.info(event, pid=os.getpid())


@contextmanager
def _locked_listener(
    options: Options, host: str, port: int, worker_socket: socket.socket | None
) -> Iterator[socket.socket]:
    if worker_socket is not None:
        with worker_socket:
            yield worker_socket
    else:
        with DataDirLock(options.data_dir), open_listener(host, port) as listener:
            yield listener


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run until the end; raise CannotStart for every error that an operator can fix."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except _START_ERRORS as error:
        raise CannotStart(str(error)) from error


class _Server(uvicorn.Server):
    """Calls ``on_start`` after the start, reacts to signals at once, and ends streams first.

    Uvicorn itself polls ten times per second, and waits for the streams at shutdown.
    """

    def __init__(
        self,
        listener: socket.socket,
        application: object,
        *,
        table: ConnectionTable,
        on_start: Callable[[], None],
        end_streams: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,  # type: ignore[arg-type]  # An ASGI application.
                http=partial(BoundedHttpProtocol, table=table, turns=RequestTurns()),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._listener = listener
        self._on_start = on_start
        self._end_streams = end_streams
        self._stop_requested = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals here: uvicorn would raise them again and skip the clean-up."""
        loop = asyncio.get_running_loop()
        numbers = without_ignored((signal.SIGTERM, signal.SIGINT))
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets  # The acceptor has the listener.
        await super().startup(sockets=[])
        self._acceptor = Acceptor(self._listener, self._create_protocol)
        self._acceptor.start()
        freeze_start_objects()
        self._on_start()

    def _create_protocol(self) -> asyncio.Protocol:
        """Create the protocol of a connection, like ``startup`` of uvicorn."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # A tick renews the Date header.
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_SECONDS):
                    await self._stop_requested.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._stop_requested.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets
        self._end_streams()
        self._acceptor.close()
        self._listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._wait_until_drained()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    async def _wait_until_drained(self) -> None:
        """Return when all responses are sent, or after a second signal."""
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_POLL_SECONDS)


def freeze_start_objects() -> None:
    """Exclude the objects of the start from garbage collection.

    They stay until the end, and a collection of them takes about 30 ms while every request waits.
    A collection at this point is not worthwhile: of 160,000 objects about 2 % are garbage.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY_OBJECTS)


def _raise_open_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def open_listener(host: str, port: int) -> socket.socket:
    """Bind the port, before anything else starts; raise CannotStart if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Each connection inherits it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_KERNEL_BYTES)
        listener.bind((host, port))
        listener.listen(BACKLOG_CONNECTIONS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} on {host} is taken: choose another with --port, or 0 for any"
            raise CannotStart(reason) from error
        raise CannotStart(f"Cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
