"""Hand over tasks to worker processes while workers and the service fail, and check the log.

* A fault comes when the workers have begun a portion of the tasks, not at a time: a slow machine
  has the same faults in the same phase of the work.
* A worker is killed, or stopped for longer than its claims last; another process of the same agent
  replaces it at once. A stopped one continues later, and reports what it has lost.
* Every second worker has NATS.
"""

import asyncio
import random
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from quorate.client import Agent, ClientConfig, SpawnedTask, SpawnedTaskError
from quorate.domain.shared.records import record
from tests.chaos.tasks import worker_program
from tests.chaos.tasks.task_checker import check_results, check_tasks
from tests.chaos.tasks.worker_program import BEGUN, CLAIM_SECONDS, ENDED, TOO_LATE, result_text
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json, environment

TASK_SECONDS_MAX = 600
FROZEN_SECONDS = 1.5 * CLAIM_SECONDS
_FENCE = re.compile(r"\d+\Z")
Cause: TypeAlias = Callable[[], Awaitable[None]]


@record
class Size:
    """What a run does; ``crashes`` are those of the service."""

    tasks: int
    workers: int
    kills: int
    freezes: int
    crashes: int
    work_seconds: float
    seconds_max: float


@record
class Deployment:
    """A service that may fail: ``crash`` kills it or parts of it, and starts them again."""

    url: str
    nats_url: str
    operator: Operator
    crash: Cause


@record
class Outcome:
    """The log after a run, and the fence in each result, by task."""

    events: Sequence[Json]
    results: dict[str, int]
    late_results: int  # Refused by the service, because their claims were lost.

    def faults(self) -> list[str]:
        return check_tasks(self.events) + check_results(self.events, self.results)

    def count(self, type_: str) -> int:
        return sum(event["type"] == type_ for event in self.events)

    def figures(self) -> str:
        return (
            f"{self.count('TaskCompleted')} completed, {self.count('TaskClaimed')} claims,"
            f" {self.count('TaskClaimEnded')} of them lost, {self.late_results} late results"
            f" refused, {len(self.events)} events"
        )


class Workers:
    """Processes that are killed or stopped, and replaced."""

    def __init__(
        self, folder: Path, deployment: Deployment, keys: Sequence[str], work_seconds: float
    ) -> None:
        self._folder = folder
        self._deployment = deployment
        self._keys = keys
        self._work_seconds = work_seconds
        self._started: list[subprocess.Popen[bytes]] = []
        self._current: list[int] = []  # The index of the process of each agent.

    def __enter__(self) -> Self:
        self._current = [self._start(number) for number in range(len(self._keys))]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def _start(self, number: int) -> int:
        """Start a process for one agent; return its index."""
        variables = {"QUORATE_URL": self._deployment.url, "QUORATE_API_KEY": self._keys[number]}
        if number % 2:
            variables["QUORATE_NATS_URL"] = self._deployment.nats_url
        with self._log(len(self._started)).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, worker_program.__file__, str(self._work_seconds)],
                env=environment(**variables),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._started.append(process)
        return len(self._started) - 1

    def _log(self, index: int) -> Path:
        return self._folder / f"worker-{index}.stderr"

    def _lines(self, index: int, text: str) -> int:
        return self._log(index).read_text().count(text)

    def count(self, text: str) -> int:
        """Count the lines with a text that the processes have written."""
        return sum(self._lines(index, text) for index in range(len(self._started)))

    def find_working(self) -> list[int]:
        """Return the numbers of the agents whose process works on a task now."""
        return [
            number
            for number, index in enumerate(self._current)
            if self._lines(index, BEGUN) > self._lines(index, ENDED)
        ]

    def signal(self, number: int, which: signal.Signals) -> "subprocess.Popen[bytes]":
        """Send a signal to the process of an agent, start another one, and return the former."""
        process = self._started[self._current[number]]
        process.send_signal(which)
        self._current[number] = self._start(number)
        return process


async def run_tasks(
    folder: Path, deployment: Deployment, size: Size, chance: random.Random
) -> Outcome:
    """Run until each task has its result."""
    operator = deployment.operator
    tenant = await operator.create_tenant()
    keys = [(await tenant.issue("agent", f"w{n}")).text for n in range(size.workers)]
    lead = (await tenant.issue("agent", "lead")).text
    config = ClientConfig(timeout_seconds=60)
    results: dict[str, int] = {}
    async with (
        asyncio.timeout(size.seconds_max),
        Agent.connect(deployment.url, lead, nats_url="", config=config) as agent,
    ):
        with Workers(folder, deployment, keys, size.work_seconds) as workers:
            spawned: list[SpawnedTask] = []

            async def spawn(count: int) -> None:
                for number in range(len(spawned), len(spawned) + count):
                    task = await agent.spawn(f"task {number}", timeout_seconds=TASK_SECONDS_MAX)
                    spawned.append(task)

            await _cause_faults(deployment, workers, size, chance, spawn)
            await operator.connection.reconnect()
            for number, task in enumerate(spawned):
                text = await _result_of(task, tenant)
                fence = int(_FENCE.findall(text)[0])
                assert text == result_text(f"task {number}", fence)
                results[task.task_id] = fence
            late_results = workers.count(TOO_LATE)
    return Outcome(events=await tenant.events(), results=results, late_results=late_results)


async def _result_of(task: SpawnedTask, tenant: Tenant) -> str:
    """Return the result; offer the task again if the faults used up all its attempts."""
    while True:
        try:
            return await task.result()
        except SpawnedTaskError as failed:
            if "attempts" not in (failed.info.error or ""):
                raise
            await tenant.request_ok("POST", f"/v1/tasks/{task.task_id}/retry", {})


async def _cause_faults(
    deployment: Deployment,
    workers: Workers,
    size: Size,
    chance: random.Random,
    spawn: Callable[[int], Awaitable[None]],
) -> None:
    """Hand over all tasks, and cause a fault between two portions; return when all are over."""

    def signal_one(which: signal.Signals) -> "subprocess.Popen[bytes]":
        numbers = workers.find_working() or range(size.workers)
        return workers.signal(chance.choice(numbers), which)

    async def kill() -> None:
        signal_one(signal.SIGKILL)

    async def freeze() -> None:
        process = signal_one(signal.SIGSTOP)
        frozen.append(asyncio.create_task(_resume_later(process)))

    frozen: list[asyncio.Task[None]] = []
    kinds: tuple[tuple[Cause, int], ...] = (
        (kill, size.kills),
        (freeze, size.freezes),
        (deployment.crash, size.crashes),
    )
    faults = [cause for cause, count in kinds for _ in range(count)]
    chance.shuffle(faults)
    portion = size.tasks // (len(faults) + 1)
    for number, cause in enumerate(faults):
        await spawn(portion)
        await _wait_for_begun(workers, number * portion + 1, size.seconds_max)
        await cause()
    await spawn(size.tasks - len(faults) * portion)
    await asyncio.gather(*frozen)


async def _wait_for_begun(workers: Workers, count: int, seconds_max: float) -> None:
    await wait_until(lambda: workers.count(BEGUN) >= count, seconds_max)


async def _resume_later(process: "subprocess.Popen[bytes]") -> None:
    await asyncio.sleep(FROZEN_SECONDS)
    process.send_signal(signal.SIGCONT)
