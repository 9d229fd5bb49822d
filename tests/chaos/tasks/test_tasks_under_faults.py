"""Each task is completed once, although workers are killed and stopped and the service is killed.

The quick run has the sizes of QUICK; QUORATE_TASKS=full hands over 1,000 tasks to 8 workers and
kills the service three times. QUORATE_TASKS_SEED selects other random choices.
"""

import asyncio
import logging
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from quorate.client import RejectedError
from quorate.domain.sessions import task_claims
from tests.chaos.tasks.claims_without_fences import held_task
from tests.chaos.tasks.task_checker import check_tasks
from tests.chaos.tasks.task_run import Deployment, Size, run_tasks
from tests.e2e.client.agent_fleet import restartable_service
from tests.integration.api.in_process import run_in_process
from tests.integration.api.task_agents import create_agent

_logger = logging.getLogger(__name__)

QUICK = Size(
    tasks=60, workers=4, kills=2, freezes=1, crashes=1, work_seconds=0.5, seconds_max=240.0
)
FULL = Size(
    tasks=1_000, workers=8, kills=8, freezes=8, crashes=3, work_seconds=0.5, seconds_max=600.0
)
SIZE = FULL if os.environ.get("QUORATE_TASKS") == "full" else QUICK
SEED = int(os.environ.get("QUORATE_TASKS_SEED", "1"))


@pytest.mark.timeout(SIZE.seconds_max + 60)
async def test_each_task_is_completed_once(tmp_path: Path) -> None:
    async with restartable_service(tmp_path / "data") as (service, operator):

        async def crash() -> None:
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)

        deployment = Deployment(
            url=service.url, nats_url=service.nats_url, operator=operator, crash=crash
        )
        outcome = await run_tasks(tmp_path, deployment, SIZE, random.Random(SEED))
    _logger.info(outcome.figures())
    assert outcome.faults() == []
    assert len(outcome.results) == SIZE.tasks
    assert outcome.count("TaskClaimEnded") > 0  # Else the run shows nothing.


# -- Control ---------------------------------------------------------------------


@pytest.fixture
def without_fences(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(task_claims, "held_task", held_task)
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
