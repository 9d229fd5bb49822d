"""The supervisor replaces workers that end or hang, and stops in time."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS

from quorate.server import workers
from quorate.server.workers import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, Supervisor, Worker

WORKERS = 2
HUNG_SECONDS = 6.0  # More than the health check of uvicorn allows.


class FakeProcess:
    """An operating system process that the test controls."""

    def __init__(self, pid: int, error: OSError | None = None) -> None:
        self.pid = pid
        self.exitcode: int | None = None
        self._error = error

    def start(self) -> None:
        if self._error is not None:
            raise self._error

    def is_alive(self) -> bool:
        return self.exitcode is None

    def kill(self) -> None:
        if self.exitcode is None:
            self.exitcode = -signal.SIGKILL

    def join(self, timeout: float | None = None) -> None:
        """Return at once, as if ``timeout`` had passed."""


class Stage:
    """A supervisor whose workers are fake processes; only the test advances the clock."""

    def __init__(self, metrics_dir: Path, listener: socket.socket) -> None:
        self.now = 100.0
        self.announced = 0
        self.start_errors: list[OSError] = []
        self._pids = iter(range(1, 1_000))
        self.supervisor = Supervisor(
            [self._create_worker] * WORKERS,
            listener,
            metrics_dir=metrics_dir,
            on_start=self._announce,
        )
        self.supervisor.init_processes()

    def _create_worker(self, config: uvicorn.Config, sockets: list[socket.socket]) -> Worker:
        worker = Worker(cast("Any", None), "info", config, sockets)
        error = self.start_errors.pop() if self.start_errors else None
        worker.process = cast("Any", FakeProcess(next(self._pids), error))
        return worker

    def _announce(self) -> None:
        self.announced += 1

    @property
    def workers(self) -> list[Worker]:
        return cast("list[Worker]", self.supervisor.processes)

    def pids(self) -> list[int | None]:
        return [worker.pid for worker in self.workers]

    def advance(self, seconds: float) -> None:
        """Let the supervisor check the workers once, after this time."""
        self.now += seconds
        self.supervisor.keep_subprocess_alive()

    def answer(self, *answering: Worker, is_serving: bool = True) -> None:
        """Answer all health checks, and let the supervisor read the answers."""
        for worker in answering:
            while worker.child_conn.poll():
                worker.child_conn.recv()
                worker.child_conn.send(is_serving)
        self.advance(0)

    def start(self) -> None:
        self.advance(0)
        self.answer(*self.workers)

    def end(self, worker: Worker, code: int = 1) -> None:
        cast("FakeProcess", worker.process).exitcode = code


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with socket.socket() as listener:
        stage = Stage(tmp_path, listener)
        monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: stage.now))
        for worker in stage.workers:
            worker._created_at = worker._answered_at = stage.now
        yield stage
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_start_is_announced_once_when_all_workers_serve(stage: Stage) -> None:
    first, second = stage.workers
    stage.advance(0)
    stage.answer(first)
    stage.answer(second, is_serving=False)
    assert stage.announced == 0

    stage.answer(first, second)
    stage.answer(first, second)

    assert stage.announced == 1


def test_worker_that_fails_at_the_start_stops_the_service(stage: Stage) -> None:
    stage.end(stage.workers[0])
    stage.advance(0)

    assert stage.supervisor.has_failed
    assert stage.supervisor.should_exit.is_set()
    assert stage.announced == 0


def test_dead_worker_is_replaced_after_a_growing_pause(stage: Stage) -> None:
    stage.start()
    other = stage.workers[1].pid
    pauses = []
    for _ in range(8):
        stage.end(stage.workers[0])
        dead, since = stage.workers[0].pid, stage.now
        stage.advance(0)
        while stage.workers[0].pid == dead:
            stage.answer(stage.workers[1])
            stage.advance(PAUSE_SECONDS_MIN)
        pauses.append(stage.now - since)

    assert pauses[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert pauses[-1] == pytest.approx(PAUSE_SECONDS_MAX, abs=2 * PAUSE_SECONDS_MIN)
    assert stage.workers[1].pid == other
    assert not stage.supervisor.should_exit.is_set()


def test_pause_is_short_again_after_a_stable_time(stage: Stage) -> None:
    stage.start()
    stage.workers[0].pause_seconds = PAUSE_SECONDS_MAX
    stage.now += workers.STABLE_SECONDS + 1
    stage.end(stage.workers[0])
    stage.answer(stage.workers[1])

    dead = stage.workers[0].pid
    stage.advance(PAUSE_SECONDS_MIN)

    assert stage.workers[0].pid != dead


def test_worker_that_cannot_be_started_is_tried_again(stage: Stage) -> None:
    stage.start()
    stage.start_errors.append(BlockingIOError("planted: too many processes"))
    stage.end(stage.workers[0])
    dead = stage.workers[0].pid
    stage.advance(0)

    stage.advance(PAUSE_SECONDS_MIN)
    assert stage.workers[0].pid == dead
    stage.advance(2 * PAUSE_SECONDS_MIN)

    assert stage.workers[0].pid != dead
    assert not stage.supervisor.should_exit.is_set()


def test_hung_worker_is_killed(stage: Stage) -> None:
    stage.start()
    hung, other = stage.workers
    stage.now += HUNG_SECONDS
    stage.answer(other)

    assert hung.exitcode == -signal.SIGKILL
    assert other.exitcode is None


def test_starting_worker_has_more_time_to_answer(stage: Stage) -> None:
    stage.advance(0)
    stage.advance(HUNG_SECONDS)
    assert not stage.supervisor.should_exit.is_set()

    stage.advance(workers.READY_SECONDS_MAX)

    assert stage.supervisor.has_failed


def test_gauges_of_a_dead_worker_are_removed_and_its_counters_stay(
    stage: Stage, tmp_path: Path
) -> None:
    stage.start()
    dead, other = stage.pids()
    gauges = [tmp_path / f"gauge_livemax_{pid}.db" for pid in (dead, other)]
    counters = tmp_path / f"counter_{dead}.db"
    for path in (*gauges, counters):
        path.touch()
    stage.end(stage.workers[0])
    stage.advance(0)

    assert sorted(tmp_path.iterdir()) == sorted([gauges[1], counters])


def test_worker_that_ignores_sigterm_is_killed(stage: Stage) -> None:
    stage.end(stage.workers[0], code=0)
    stage.supervisor.join_all()

    assert [worker.exitcode for worker in stage.workers] == [0, -signal.SIGKILL]


def test_signals_do_not_change_the_number_of_workers(stage: Stage) -> None:
    """Uvicorn would start a process of its own class."""
    stage.supervisor.signal_queue += [signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP]
    before = stage.pids()

    stage.supervisor.handle_signals()

    assert stage.pids() == before
    assert not stage.supervisor.signal_queue
