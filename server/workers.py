"""Run several worker processes on one machine that share a socket, a directory and a database.

* The parent holds the lock of the data directory and the socket, and runs the embedded nats-server
  if no NATS is named. It serves no requests itself.
* A worker that dies is replaced, with an exponentially growing pause while workers keep dying.
* No worker outlives the parent. The parent passes SIGTERM on, and each worker drains its requests.
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
from quorate.bus.embedded.server import EmbeddedServer, reachable_host
from quorate.bus.service import FOLDER
from quorate.runtime import parent_death
from quorate.runtime.process_lock import DataDirLock
from quorate.server.bootstrap import create_data_dir
from quorate.server.container import Options
from quorate.server.run import Addresses, CannotStart, log_started, log_stopped, open_listener

READY = "Quorate worker is ready."
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 4.0
STABLE_SECONDS = 10.0
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
    """Run ``quorate ARGUMENTS`` in ``workers`` processes, until SIGTERM or SIGINT."""
    create_data_dir(options.data_dir)
    with DataDirLock(options.data_dir), open_listener(host, port) as listener:
        listener.set_inheritable(True)
        server = None if options.nats_url else await _start_server(options)
        nats_url = options.nats_url or (server.url if server else "")
        url = f"http://{reachable_host(host)}:{listener.getsockname()[1]}"
        shared = ["--worker-socket", str(listener.fileno()), "--nats-url", nats_url]
        all_workers = [Worker([*arguments, *shared], listener.fileno()) for _ in range(workers)]
        addresses = Addresses(url=url, nats_url=nats_url)

        def on_start() -> None:
            log_started("service.started", options, addresses)
            announce(addresses)

        try:
            await _run(all_workers, on_start)
        finally:
            if server is not None:
                await server.stop()
    log_stopped("service.stopped")


async def _start_server(options: Options) -> EmbeddedServer:
    path = options.nats_keys_file
    keys = read_keys(path) if path else service_keys(options.data_dir / FOLDER)
    host, port = options.nats_host, options.nats_port
    server = EmbeddedServer(options.data_dir, keys, host=host, port=port)
    await server.start()
    return server


async def _run(all_workers: "Sequence[Worker]", announce: Callable[[], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    supervisors: list[asyncio.Task[None]] = []
    try:
        await _start_all(all_workers, ended)
        if not ended.is_set():
            announce()
            supervisors = [asyncio.create_task(worker.supervise()) for worker in all_workers]
            await ended.wait()
    finally:
        for supervisor in supervisors:
            supervisor.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in all_workers))


async def _start_all(all_workers: "Sequence[Worker]", ended: asyncio.Event) -> None:
    """Start all workers; raise CannotStart if one fails, because all have the same obstacle."""

    async def all_start() -> None:
        await asyncio.gather(*(worker.start() for worker in all_workers))

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
    """One worker process, and its replacements."""

    def __init__(self, arguments: Sequence[str], socket: int) -> None:
        self._arguments = arguments
        self._socket = socket
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when the worker accepts requests; raise CannotStart if it fails."""
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())),
            *(sys.executable, "-m", "quorate.cli.main", *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self._socket],
            start_new_session=True,  # The parent handles Ctrl-C and passes it on.
        )
        assert process.stdout is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS_MAX):
                async for line in process.stdout:
                    if line.strip() == READY.encode():
                        return
        await self.stop()
        raise CannotStart("A worker did not start: see the log lines above")

    async def supervise(self) -> None:
        """Replace the process whenever it dies, until cancelled."""
        pause = PAUSE_SECONDS_MIN
        while True:
            assert self._process is not None
            started_at = time.monotonic()
            code = await self._process.wait()
            _logger.error("worker.died", exit_code=code, pid=self._process.pid)
            if time.monotonic() - started_at > STABLE_SECONDS:
                pause = PAUSE_SECONDS_MIN
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            try:
                await self.start()
            except (CannotStart, OSError) as error:  # OSError: too many processes, or no memory.
                _logger.warning("worker.start_failed", reason=str(error))

    async def stop(self) -> None:
        """Terminate the process; kill it after STOP_SECONDS_MAX."""
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
