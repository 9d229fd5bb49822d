"""Several serving processes on one machine: they share a socket, a folder and a database.

The parent holds the folder's lock and the socket, runs nats-server if none was named, and serves
nothing itself. A worker that dies is replaced, after a pause that grows while they keep dying. None
outlives the parent; SIGTERM is passed on, and each of them drains.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from quorate.bus.embedded.configuration import read_keys, service_keys
from quorate.bus.embedded.server import EmbeddedServer, reachable
from quorate.bus.service import FOLDER
from quorate.runtime import parent_death
from quorate.runtime.process_lock import DataDirLock
from quorate.server.bootstrap import make_folder
from quorate.server.container import Options
from quorate.server.run import Addresses, CannotStart, listening

READY = "Quorate worker is ready."
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 4.0
RAN_WELL_SECONDS = 10.0
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 10.0
_logger = structlog.get_logger(__name__)


async def supervise(
    options: Options,
    *,
    host: str,
    port: int,
    workers: int,
    arguments: Sequence[str],
    announce: Callable[[Addresses], None],
) -> None:
    """Run ``workers`` times ``quorate`` with ``arguments``, until SIGTERM or SIGINT."""
    make_folder(options.data_dir)
    with DataDirLock(options.data_dir), listening(host, port) as listener:
        listener.set_inheritable(True)
        server = None if options.nats_url else await _started_server(options)
        nats_url = options.nats_url or (server.url if server else "")
        url = f"http://{reachable(host)}:{listener.getsockname()[1]}"
        shared = ["--worker-socket", str(listener.fileno()), "--nats-url", nats_url]
        crew = [Worker([*arguments, *shared], listener.fileno()) for _ in range(workers)]
        try:
            await _run(crew, lambda: announce(Addresses(url=url, nats_url=nats_url)))
        finally:
            if server is not None:
                await server.stop()


async def _started_server(options: Options) -> EmbeddedServer:
    path = options.nats_keys_file
    keys = read_keys(path) if path else service_keys(options.data_dir / FOLDER)
    host, port = options.nats_host, options.nats_port
    server = EmbeddedServer(options.data_dir, keys, host=host, port=port)
    await server.start()
    return server


async def _run(crew: "Sequence[Worker]", announce: Callable[[], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    keepers: list[asyncio.Task[None]] = []
    try:
        await _first_start(crew, ended)
        if not ended.is_set():
            announce()
            keepers = [asyncio.create_task(worker.keep()) for worker in crew]
            await ended.wait()
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in crew))


async def _first_start(crew: "Sequence[Worker]", ended: asyncio.Event) -> None:
    """All of them, or the end: what keeps one from starting keeps every one."""

    async def all_start() -> None:
        await asyncio.gather(*(worker.start() for worker in crew))

    async def stopped() -> None:
        await ended.wait()

    tasks = {asyncio.create_task(all_start()), asyncio.create_task(stopped())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Worker:
    """One process, and the next when it dies."""

    def __init__(self, arguments: Sequence[str], socket: int) -> None:
        self._arguments = arguments
        self._socket = socket
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it serves; raises CannotStart when it ends instead."""
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())),
            *(sys.executable, "-m", "quorate.cli.main", *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self._socket],
            start_new_session=True,  # Ctrl-C is for the parent, which passes it on.
        )
        assert process.stdout is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS_MAX):
                async for line in process.stdout:
                    if line.strip() == READY.encode():
                        return
        await self.stop()
        raise CannotStart("a worker did not start; it has said why")

    async def keep(self) -> None:
        """Replace it whenever it dies; ends by being cancelled."""
        pause = PAUSE_SECONDS_MIN
        while True:
            assert self._process is not None
            began = time.monotonic()
            code = await self._process.wait()
            _logger.error("worker.died", exit_code=code, pid=self._process.pid)
            if time.monotonic() - began > RAN_WELL_SECONDS:
                pause = PAUSE_SECONDS_MIN
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            try:
                await self.start()
            except (CannotStart, OSError) as obstacle:  # Too many processes, or no memory for one.
                _logger.warning("worker.not_started", why=str(obstacle))

    async def stop(self) -> None:
        """Politely, then for certain."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
