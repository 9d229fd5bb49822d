"""Run several worker processes on one machine that share a socket, a directory and a database.

* With PostgreSQL they are alike. With SQLite they have different roles (``server/roles.py``).
* The parent holds the lock of the data directory and the socket, and runs the embedded nats-server
  if no NATS is named. It serves no requests itself.
* Uvicorn's supervisor starts, checks and stops the workers. ARCHITECTURE.md lists what differs
  from uvicorn here, and why.
* A worker that dies or hangs is replaced, with a growing pause while workers keep dying. A writer
  is always replaced soon: while it lives, all others depend on it.
* No worker outlives the parent. The parent passes SIGTERM on, and each worker drains its requests.
"""

import asyncio
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from socket import socket
from typing import cast

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from quorate.bus.embedded.configuration import read_keys, service_keys
from quorate.bus.embedded.server import EmbeddedServer, reachable_host
from quorate.bus.service import FOLDER
from quorate.domain.shared.records import changed
from quorate.eventlog.sqlite.files import DatabaseFiles
from quorate.runtime.parent_death import die_with_parent
from quorate.runtime.process_lock import DataDirLock
from quorate.runtime.signals import without_ignored
from quorate.server import logging
from quorate.server.bootstrap import create_data_dir
from quorate.server.container import Options
from quorate.server.part import serve_part
from quorate.server.roles import WHOLE, Role, split
from quorate.server.run import (
    Addresses,
    CannotStart,
    log_started,
    log_stopped,
    open_listener,
    run,
    serve,
)
from quorate.server.worker_metrics import create_directory, remove_worker

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 4.0
STABLE_SECONDS = 10.0
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 10.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_logger = structlog.get_logger(__name__)


async def supervise(
    options: Options,
    *,
    host: str,
    port: int,
    workers: int,
    log_level: str,
    announce: Callable[[Addresses], None],
) -> None:
    """Serve in ``workers`` processes, until SIGTERM or SIGINT."""
    create_data_dir(options.data_dir)
    with DataDirLock(options.data_dir), open_listener(host, port) as listener:
        _require_unlocked(options)
        directory = create_directory(options.data_dir)
        options = changed(options, workers_dir=directory)
        server = None if options.nats_url else await _start_server(options)
        nats_url = options.nats_url or (server.url if server else "")
        url = f"http://{reachable_host(host)}:{listener.getsockname()[1]}"
        addresses = Addresses(url=url, nats_url=nats_url)

        def on_start() -> None:
            log_started("service.started", options, addresses)
            announce(addresses)

        worker_options = changed(options, nats_url=nats_url, holds_nats_logins=server is not None)
        supervisor = Supervisor(
            [
                _create_worker(changed(worker_options, role=role), host, port, log_level)
                for role in _roles(options, workers)
            ],
            listener,
            metrics_dir=directory,
            on_start=on_start,
        )
        loop = asyncio.get_running_loop()
        for number in without_ignored(STOP_SIGNALS):
            loop.add_signal_handler(number, supervisor.should_exit.set)
        try:
            await asyncio.to_thread(supervisor.run)
        finally:
            await asyncio.to_thread(supervisor.end)
            if server is not None:
                await server.stop()
            shutil.rmtree(directory, ignore_errors=True)
        if supervisor.has_failed:
            raise CannotStart("A worker did not start: see the log lines above")
    log_stopped("service.stopped")


def _roles(options: Options, workers: int) -> Sequence[Role]:
    return [WHOLE] * workers if options.database_file is None else split(workers)


def _require_unlocked(options: Options) -> None:
    """Raise Locked if a process of another directory writes the file: a writer would wait."""
    if options.database_file is not None:
        files = DatabaseFiles(options.database_file)
        files.lock()
        files.unlock()


def _create_worker(
    options: Options, host: str, port: int, log_level: str
) -> "Callable[[uvicorn.Config, list[socket]], Worker]":
    role = options.role
    serve_worker = partial(serve if role.serves_http else serve_part, options, host=host, port=port)
    return partial(Worker, serve_worker, log_level, is_awaited=role.writes and role.is_part)


async def _start_server(options: Options) -> EmbeddedServer:
    path = options.nats_keys_file
    keys = read_keys(path) if path else service_keys(options.data_dir / FOLDER)
    host, port = options.nats_host, options.nats_port
    server = EmbeddedServer(options.data_dir, keys, host=host, port=port, holds_logins=True)
    await server.start()
    return server


class Worker(Process):
    """One worker process. The parent and the worker each have a copy of this object."""

    def __init__(
        self,
        serve_worker: Callable[..., Coroutine[None, None, None]],
        log_level: str,
        config: uvicorn.Config,
        sockets: list[socket],
        *,
        is_awaited: bool = False,
    ) -> None:
        """``is_awaited``: the others wait for it, so it is always replaced soon."""
        self._serve = serve_worker
        self._log_level = log_level
        self._is_awaited = is_awaited
        self._created_at = self._answered_at = time.monotonic()
        self.is_serving = False
        self.pause_seconds = PAUSE_SECONDS_MIN  # From its end to the start of a replacement.
        self.restart_at: float | None = None  # Set when the process has ended.
        super().__init__(config, sockets)

    # -- In the worker process -------------------------------------------------

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve until SIGTERM; exit with STARTUP_FAILURE if that is impossible."""
        parent = multiprocessing.parent_process()
        assert parent is not None
        assert parent.pid is not None
        assert sockets is not None
        die_with_parent(parent.pid)
        os.setsid()  # The parent handles Ctrl-C and passes it on.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        logging.configure(self._log_level)
        threading.Thread(target=self.always_pong, daemon=True).start()
        try:
            run(partial(self._serve, announce=self._on_start, worker_socket=sockets[0]))
        except CannotStart as obstacle:
            sys.stderr.write(f"Error: {obstacle}\n")
            sys.exit(STARTUP_FAILURE)

    def _on_start(self, _addresses: Addresses) -> None:
        self.is_serving = True

    def pong(self) -> None:
        self.child_conn.recv()
        self.child_conn.send(self.is_serving)

    # -- In the parent -----------------------------------------------------------

    def is_alive(self, timeout: float = 5) -> bool:
        """Return at once: read the answers to former health checks, and send the next one."""
        if not self.process.is_alive():
            return False
        now = time.monotonic()
        while self.parent_conn.poll():
            self.is_serving = self.parent_conn.recv()
            self._answered_at = now
        self.parent_conn.send(b"ping")
        return now - self._answered_at < (timeout if self.is_serving else READY_SECONDS_MAX)

    def end(self) -> None:
        """Kill the process if it hangs, and plan its replacement."""
        self.kill()
        self.join()
        now = time.monotonic()
        if now - self._created_at > STABLE_SECONDS or (
            self._is_awaited and self.exitcode != STARTUP_FAILURE
        ):
            self.pause_seconds = PAUSE_SECONDS_MIN
        self.restart_at = now + self.pause_seconds


class Supervisor(Multiprocess):
    """Uvicorn's supervisor for workers that start slowly and must stop in time."""

    def __init__(
        self,
        creators: Sequence[Callable[[uvicorn.Config, list[socket]], Worker]],
        listener: socket,
        *,
        metrics_dir: Path,
        on_start: Callable[[], None],
    ) -> None:
        """``creators`` have one function for each worker, and create its replacements too."""
        # Each worker creates its own application.
        super().__init__(uvicorn.Config("", workers=len(creators), log_config=None), [listener])
        self._creators = creators
        self._metrics_dir = metrics_dir
        self._on_start = on_start
        self._has_started = False
        self.has_failed = False

    @property
    def _workers(self) -> list[Worker]:
        return cast("list[Worker]", self.processes)

    def run(self) -> None:
        # Workers inherit that SIGINT is blocked. Until a worker has its own session, Ctrl-C in a
        # terminal would end it with a traceback. The start of the tracker ends the blocking.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().run()

    def init_processes(self) -> None:
        for create in self._creators:
            self._workers.append(self._start_worker(create))

    def handle_signals(self) -> None:
        """Ignore signals: ``supervise`` handles those that stop the service, at once."""
        self.signal_queue.clear()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended. Before all have started, stop if one fails."""
        for index, worker in enumerate(self._workers):
            if worker.restart_at is not None:
                if time.monotonic() >= worker.restart_at:
                    self._replace(index, worker)
            elif not worker.is_alive(self.config.timeout_worker_healthcheck):
                worker.end()
                assert worker.pid is not None
                remove_worker(self._metrics_dir, worker.pid)
                if not self._has_started:
                    self.has_failed = True
                    self.should_exit.set()
                    return
                event = "worker.died" if worker.is_serving else "worker.start_failed"
                _logger.error(event, exit_code=worker.exitcode, pid=worker.pid)
        if not self._has_started and all(worker.is_serving for worker in self._workers):
            self._has_started = True
            self._on_start()

    def join_all(self) -> None:
        """Wait for STOP_SECONDS_MAX, then kill the workers that are left."""
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
        super().join_all()

    def end(self) -> None:
        """Stop all workers, also after an error of the supervisor."""
        self.terminate_all()
        self.join_all()

    def _start_worker(self, create: Callable[[uvicorn.Config, list[socket]], Worker]) -> Worker:
        worker = create(self.config, self.sockets)
        worker.start()
        return worker

    def _replace(self, index: int, ended: Worker) -> None:
        ended.pause_seconds = min(2 * ended.pause_seconds, PAUSE_SECONDS_MAX)
        try:
            worker = self._start_worker(self._creators[index])
        except OSError as error:  # Too many processes, or no memory.
            _logger.warning("worker.start_failed", reason=str(error))
            ended.restart_at = time.monotonic() + ended.pause_seconds
        else:
            worker.pause_seconds = ended.pause_seconds
            self._workers[index] = worker
