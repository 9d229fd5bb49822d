"""`quorate serve`: from a data folder to a running service, and back, without leaving traces.

Ends within SHUTDOWN_SECONDS_MAX of SIGTERM: no new connections, streams are ended, commands that
were taken are finished, notifications that can be pushed are pushed, and nats-server is stopped.
"""

import asyncio
import errno
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
import uvloop

from quorate.api.routes import Application
from quorate.application.execution import Service
from quorate.application.tracing import TracingNotInstalled
from quorate.bus.embedded.configuration import KeysUnreadable
from quorate.bus.embedded.server import ServerFailed, reachable
from quorate.domain.identity.api_keys import Role
from quorate.domain.shared.records import record
from quorate.eventlog.database import NotDurable, Outdated
from quorate.eventlog.database_url import UnknownDatabase
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.process_lock import DataDirLock, Locked
from quorate.server.bootstrap import KeyUnusable, credentials, make_folder, record_key
from quorate.server.container import Options, running
from quorate.server.http_protocol import BoundedHttpProtocol

DRAIN_SECONDS_MAX = 2
DRAIN_LOOK_SECONDS = 0.005
DATE_SECONDS = 1.0
FILES_WANTED = 16_384  # Connections are files; the usual soft limit is 1,024.
KEEP_ALIVE_SECONDS = 75
BACKLOG_CONNECTIONS = 1_024
COLLECT_EVERY_OBJECTS = 50_000
# How long the event loop may keep the interpreter from the database's threads. The usual 5 ms is
# longer than a whole commit.
SWITCH_SECONDS = 0.0003
# What an operator can mend; the message says how.
_IN_THE_WAY = (
    *(Locked, ServerFailed, Outdated, NotDurable, DatabaseUnavailable),
    *(KeysUnreadable, KeyUnusable, TracingNotInstalled, UnknownDatabase),
)
_logger = structlog.get_logger(__name__)


@record
class Addresses:
    """Where clients find the service."""

    url: str
    nats_url: str


@dataclass(eq=False)
class CannotStart(Exception):
    """Something of this machine stands in the way, and this says what."""

    why: str

    def __str__(self) -> str:
        return self.why


async def serve(
    options: Options,
    *,
    host: str,
    port: int,
    announce: Callable[[Addresses], None],
    worker_socket: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` is told when the first request can come.

    One of several workers is given the socket that they share, and leaves the folder's lock alone.
    """
    make_folder(options.data_dir)
    _allow_many_files()
    with _listening_alone(options, host, port, worker_socket) as listener:
        url = f"http://{reachable(host)}:{listener.getsockname()[1]}"
        async with running(options) as run:
            addresses = Addresses(url=url, nats_url=run.push.url)
            await _keys(run.service, options, addresses)
            server = _Server(
                Application(run.service),
                started=lambda: announce(addresses),
                end_streams=run.service.tails.close,
            )
            await server.serve(sockets=[listener])


@contextmanager
def _listening_alone(
    options: Options, host: str, port: int, worker_socket: int | None
) -> Iterator[socket.socket]:
    if worker_socket is not None:
        with socket.socket(fileno=worker_socket) as listener:
            yield listener
    else:
        with DataDirLock(options.data_dir), listening(host, port) as listener:
            yield listener


async def _keys(service: Service, options: Options, addresses: Addresses) -> None:
    """Record the keys that we were given, or else issue some and write them down."""
    given: Sequence[tuple[Path | None, Role]] = (
        (options.admin_key_file, "admin"),
        (options.api_key_file, "tenant"),
    )
    for path, role in given:
        if path is not None:
            await record_key(service, path, role)
    if all(path is None for path, _ in given):
        await credentials(service, options.data_dir, url=addresses.url, nats_url=addresses.nats_url)


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run until it ends; raises CannotStart for everything that an operator can mend."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except _IN_THE_WAY as error:
        raise CannotStart(str(error)) from error


class _Server(uvicorn.Server):
    """Tells when it has started, is told when to end, and then ends the streams first.

    Uvicorn would look for all of that ten times a second, and wait for the streams.
    """

    def __init__(
        self, application: object, *, started: Callable[[], None], end_streams: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,  # type: ignore[arg-type]  # An ASGI application.
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._tell_started = started
        self._end_streams = end_streams
        self._ends = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Those of uvicorn would raise the signal again and end the process before our clean-up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _spare_what_stays()
        self._tell_started()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # Which renews the date that answers bear.
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_SECONDS):
                    await self._ends.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._ends.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._drained()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    async def _drained(self) -> None:
        """Whoever was being answered has the answer; or somebody is in a hurry."""
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_LOOK_SECONDS)


def _spare_what_stays() -> None:
    """What the start has made is there for good: the collector need not walk through it again,
    which takes some 30 ms each time, with every request waiting. Nor now: of 160,000 objects a
    fiftieth would turn out to be garbage.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY_OBJECTS)


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listening(host: str, port: int) -> socket.socket:
    """Bound before anything else starts, so that a port that is taken costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG_CONNECTIONS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} on {host} is taken: choose another with --port, or 0 for any"
            raise CannotStart(why) from error
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
