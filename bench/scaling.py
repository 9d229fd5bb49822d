"""Simulate the processes of a service on more cores than this machine has.

The input is a profile: the processor time of each process for one command, as measured by
``bench/workers.py``. What the model assumes:

* A process runs on one core at a time; a core runs one process at a time, whichever waits longest.
* A command is read by a worker for HTTP, decided and committed by the writer, and answered by the
  worker. The process for NATS gets each commit besides, and no command waits for it.
* The writer takes all commands that wait. A batch costs a part of its own, whatever its size.
* Clients send the next command as soon as they have the answer. Memory, disk and network cost
  nothing, and the load generator runs elsewhere.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable

from quorate.domain.shared.records import record

CLIENTS = 256
BATCH_COMMANDS_MAX = 512
COMMANDS = 20_000
MICROSECONDS = 1_000_000


@record
class Profile:
    """Processor time in microseconds, for a command or for a batch."""

    http: float  # Reading and answering, in the worker.
    writer: float
    batch: float  # Of each batch, in the writer.
    other: float  # In the process for NATS, nats-server and the parent.


class _Process:
    """Runs its work in order; ``take`` returns the next piece: its duration and what follows."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.is_running = False

    def take(self) -> tuple[float, list[Callable[[], None]]]:
        duration, then = self.waiting.popleft()
        return duration, [then]


class _Writer(_Process):
    def __init__(self, batch: float) -> None:
        super().__init__()
        self._batch = batch

    def take(self) -> tuple[float, list[Callable[[], None]]]:
        count = min(len(self.waiting), BATCH_COMMANDS_MAX)
        taken = [self.waiting.popleft() for _ in range(count)]
        return self._batch + sum(one for one, _ in taken), [then for _, then in taken]


class _Machine:
    def __init__(self, cores: int) -> None:
        self.now = 0.0
        self._free = cores
        self._ready: deque[_Process] = deque()
        self._ends: list[tuple[float, int, _Process, list[Callable[[], None]]]] = []
        self._numbers = itertools.count()

    def add(self, process: _Process, duration: float, then: Callable[[], None]) -> None:
        process.waiting.append((duration, then))
        if not process.is_running and process not in self._ready:
            self._ready.append(process)

    def run(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            while self._free and self._ready:
                process = self._ready.popleft()
                duration, then = process.take()
                process.is_running, self._free = True, self._free - 1
                end = (self.now + duration, next(self._numbers), process, then)
                heapq.heappush(self._ends, end)
            self.now, _, process, following = heapq.heappop(self._ends)
            process.is_running, self._free = False, self._free + 1
            if process.waiting:
                self._ready.append(process)
            for one in following:
                one()


def simulate(profile: Profile, cores: int, workers: int, clients: int = CLIENTS) -> float:
    """Return the commands per second of a service with this number of workers."""
    machine, writer, other = _Machine(cores), _Writer(profile.batch), _Process()
    served = [_Process() for _ in range(workers)]
    answered = 0

    def send(worker: _Process) -> None:
        machine.add(worker, profile.http / 2, lambda: decide(worker))

    def decide(worker: _Process) -> None:
        machine.add(writer, profile.writer, lambda: answer(worker))

    def answer(worker: _Process) -> None:
        machine.add(other, profile.other, lambda: None)
        machine.add(worker, profile.http / 2, lambda: finish(worker))

    def finish(worker: _Process) -> None:
        nonlocal answered
        answered += 1
        send(worker)

    for client in range(clients):
        send(served[client % workers])
    machine.run(lambda: answered >= COMMANDS)
    return MICROSECONDS * answered / machine.now
