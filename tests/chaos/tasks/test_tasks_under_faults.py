"""Each task is completed once, although workers are killed and stopped and the service is killed.

The quick run has the sizes of QUICK; QUORATE_TASKS=full hands over 1,000 tasks to 8 workers and
kills the service three times. QUORATE_TASKS_SEED selects other random choices.
"""

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from quorate.client import Agent, ClientConfig, RejectedError, SpawnedTask, SpawnedTaskError
from quorate.domain.sessions import task_claims
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TASKS, StaleFence
from quorate.domain.shared.records import record
from quorate.domain.shared.state import TenantState
from tests.chaos.tasks import worker_program
from tests.chaos.tasks.task_checker import check_tasks
from tests.chaos.tasks.worker_program import CLAIM_SECONDS
from tests.e2e.client.agent_fleet import restartable_service
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess, environment
from tests.integration.api.in_process import run_in_process
from tests.integration.api.task_agents import create_agent

_logger = logging.getLogger(__name__)


@record
class Size:
    tasks: int
    workers: int
    worker_kills: int
    service_kills: int
    seconds_max: float
    work_seconds: float = 0.5


QUICK = Size(tasks=60, workers=4, worker_kills=3, service_kills=1, seconds_max=90, work_seconds=1.0)
FULL = Size(tasks=1_000, workers=8, worker_kills=16, service_kills=3, seconds_max=600)
SIZE = FULL if os.environ.get("QUORATE_TASKS") == "full" else QUICK
RANDOM = random.Random(int(os.environ.get("QUORATE_TASKS_SEED", "1")))


class Workers:
    """Processes that are killed or stopped, and replaced."""

    def __init__(self, service: ServiceProcess, keys: list[str]) -> None:
        self._service = service
        self._keys = keys
        self._processes = [self._start(key) for key in keys]
        self._stopped: list[subprocess.Popen[bytes]] = []

    def _start(self, key: str) -> "subprocess.Popen[bytes]":
        variables = {"QUORATE_URL": self._service.url, "QUORATE_API_KEY": key}
        return subprocess.Popen(
            [sys.executable, worker_program.__file__, str(SIZE.work_seconds)],
            env=environment(**variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def disturb(self) -> None:
        """Kill one, or stop one for longer than its claims; it continues later."""
        index = RANDOM.randrange(len(self._processes))
        process = self._processes[index]
        if RANDOM.random() < 0.5:
            process.kill()
            process.wait()
        else:
            process.send_signal(signal.SIGSTOP)
            self._stopped.append(process)
        self._processes[index] = self._start(self._keys[index])

    def resume(self) -> None:
        """Continue the stopped ones: they report what they have lost."""
        for process in self._stopped:
            process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        for process in (*self._processes, *self._stopped):
            process.kill()
            process.wait()


@asynccontextmanager
async def ended(workers: Workers) -> AsyncIterator[Workers]:
    try:
        yield workers
    finally:
        workers.end()


async def test_each_task_is_completed_once(tmp_path: Path) -> None:
    async with restartable_service(tmp_path / "data") as (service, operator):
        tenant = await operator.create_tenant()
        keys = [(await tenant.issue("agent", f"w{n}")).text for n in range(SIZE.workers)]
        lead = (await tenant.issue("agent", "lead")).text
        config = ClientConfig(timeout_seconds=60)
        async with (
            asyncio.timeout(SIZE.seconds_max),
            Agent.connect(service.url, lead, nats_url="", config=config) as agent,
            ended(Workers(service, keys)) as workers,
        ):
            first = await agent.spawn("task 0", timeout_seconds=600)
            faults = asyncio.create_task(cause_faults(service, workers, first))
            later = range(1, SIZE.tasks)
            spawned = [
                first,
                *[await agent.spawn(f"task {number}", timeout_seconds=600) for number in later],
            ]
            await faults
            for number, task in enumerate(spawned):
                assert (await result_of(task, tenant)).startswith(f"task {number} by ")
        events = await tenant.events()
    check(events)
    completed = [event["data"]["taskId"] for event in events if event["type"] == "TaskCompleted"]
    assert sorted(completed) == sorted(task.task_id for task in spawned)
    lost = sum(event["type"] == "TaskClaimEnded" for event in events)
    assert lost > 0  # Else the run shows nothing.
    _logger.info("%d completed, %d claims lost, %d events", len(completed), lost, len(events))


async def result_of(task: SpawnedTask, tenant: Tenant) -> str:
    """Return the result; offer the task again if the faults used up all its attempts."""
    while True:
        try:
            return await task.result()
        except SpawnedTaskError as failed:
            if "attempts" not in (failed.info.error or ""):
                raise
            retry = f"/v1/tasks/{task.task_id}/retry"
            await tenant.request_ok("POST", retry, {})


def check(events: list[dict[str, object]]) -> None:
    assert check_tasks(events) == []


async def cause_faults(service: ServiceProcess, workers: Workers, first: SpawnedTask) -> None:
    """Kill and stop, from the moment when the first task is worked on."""
    async for info in first.progress():
        if info.attempt:
            break
    kills = [*["worker"] * SIZE.worker_kills, *["service"] * SIZE.service_kills]
    RANDOM.shuffle(kills)
    for kill in kills:
        await asyncio.sleep(RANDOM.uniform(0.1, 0.5))
        if kill == "worker":
            workers.disturb()
        else:
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
    await asyncio.sleep(2 * CLAIM_SECONDS)  # Stopped workers have lost their claims.
    workers.resume()


# -- Control ---------------------------------------------------------------------


@pytest.fixture
def without_fences(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def held(state: TenantState, task_id: str, _worker: object, _fence: int) -> Task:
        task = state[TASKS][task_id]
        if task.claim is None:
            raise StaleFence(task_id)
        return task

    with monkeypatch.context() as patch:
        patch.setattr(task_claims, "held_task", held)
        yield


async def run_two_workers(folder: Path) -> list[str]:
    """Let a worker complete a task that another one has meanwhile; return the faults in the log."""
    async with run_in_process(folder / "data") as service:
        lead, first, second = [await create_agent(service, name) for name in ("a", "b", "c")]
        await lead.spawn()
        lost = await first.claimed(claim_seconds=1)
        await second.claimed(wait=20)
        with suppress(AssertionError, RejectedError):
            await first.report(lost, "complete", text="late")
        events = (await service.get("/v1/events?limit=1000")).json["events"]
    return check_tasks(events)


async def test_claim_without_fence_is_found(tmp_path: Path, without_fences: None) -> None:
    assert without_fences is None
    [fault] = await run_two_workers(tmp_path)
    assert "TaskCompleted" in fault
    assert "claimed by" in fault


async def test_claim_with_fence_has_no_fault(tmp_path: Path) -> None:
    assert await run_two_workers(tmp_path) == []
