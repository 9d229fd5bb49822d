"""Three replicas complete each task once, although workers and replicas fail.

Workers are killed and stopped, and one or two of the replicas are killed at a time, while the
clients fail over. The sizes of the quick run are those of QUICK; QUORATE_TASKS=full and
QUORATE_TASKS_SEED are as in test_tasks_under_faults.py.
"""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from quorate.domain.shared.records import record
from tests.chaos.tasks import claims_without_fences
from tests.chaos.tasks.load_balancer import LoadBalancer
from tests.chaos.tasks.task_checker import check_results, check_tasks
from tests.chaos.tasks.task_run import Deployment, Size, run_tasks
from tests.chaos.tasks.test_tasks_under_faults import SEED
from tests.e2e.service.http_clients import Agent, Operator, connect_operator
from tests.e2e.service.replicas import SERVE_MODULE, Replica, Replicas
from tests.e2e.service.service_process import Json
from tests.support.postgres import PostgresServer

_logger = logging.getLogger(__name__)

REPLICAS, FAULTY_REPLICAS = 3, 2
QUICK = Size(
    tasks=40, workers=3, kills=1, freezes=1, crashes=2, work_seconds=0.5, seconds_max=240.0
)
FULL = Size(
    tasks=1_000, workers=8, kills=8, freezes=8, crashes=6, work_seconds=0.5, seconds_max=600.0
)
SIZE = FULL if os.environ.get("QUORATE_TASKS") == "full" else QUICK
CLAIM_WAIT_SECONDS = 20  # For a task that is offered again.


@contextmanager
def running_replicas(
    folder: Path, server: PostgresServer, count: int, program: str
) -> Iterator[Replicas]:
    replicas = Replicas(folder, server.database_url(), count, program=program)
    try:
        replicas.start()
        yield replicas
    finally:
        replicas.end()


@pytest.fixture(scope="module")
def replicas(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    with running_replicas(folder, postgres, REPLICAS, SERVE_MODULE) as running:
        yield running


@pytest.fixture
def faulty_replicas(tmp_path: Path, postgres: PostgresServer) -> Iterator[Replicas]:
    with running_replicas(
        tmp_path, postgres, FAULTY_REPLICAS, claims_without_fences.__name__
    ) as running:
        yield running


@pytest.mark.timeout(SIZE.seconds_max + 60)
async def test_each_task_is_completed_once(tmp_path: Path, replicas: Replicas) -> None:
    chance = random.Random(SEED)

    async def crash() -> None:
        """At least one replica remains."""
        killed = chance.sample(replicas.all, chance.randrange(1, REPLICAS))
        await asyncio.gather(*(asyncio.to_thread(kill_and_start, one) for one in killed))

    async with (
        LoadBalancer(replicas.all) as balancer,
        connect_operator(replicas.all[0]) as operator,
    ):
        deployment = Deployment(
            url=balancer.url, nats_url=replicas.shared.nats.url, operator=operator, crash=crash
        )
        outcome = await run_tasks(tmp_path, deployment, SIZE, chance)
    _logger.info(outcome.figures())
    assert outcome.faults() == []
    assert len(outcome.results) == SIZE.tasks
    assert outcome.count("TaskClaimEnded") > 0  # Else the run shows nothing.


def kill_and_start(replica: Replica) -> None:
    replica.kill()
    replica.start()


# -- Late results ------------------------------------------------------------------


@record
class LateResult:
    """How a replica answered it, and what the checkers found."""

    answer: Json
    task_faults: list[str]
    result_faults: list[str]


@asynccontextmanager
async def operators(replicas: Replicas) -> AsyncIterator[list[Operator]]:
    """Connect to each replica."""
    connected = [Operator(replica) for replica in replicas.all]
    try:
        yield connected
    finally:
        for one in connected:
            await one.close()


async def report_late(replicas: Replicas, *, by_another: bool) -> LateResult:
    """Complete a task at another replica after its claim has passed to another process.

    ``by_another``: that process is of another agent, else of the same one.
    """
    async with operators(replicas) as (here, there, *others):
        tenant = await here.create_tenant()
        lead, first, second = await tenant.create_agents("lead", "first", "second")
        await lead.request_ok("POST", "/v1/tools/spawn_agent", {"task": "x", "nonblocking": True})
        claim = {"presets": ["-"], "wait": CLAIM_WAIT_SECONDS, "claim_seconds": 1}
        lost = (await first.request_ok("POST", "/v1/tasks/claim", claim))["task"]
        taker = Agent(there, (second if by_another else first).issued)
        claim = {**claim, "claim_seconds": 60}
        held = (await taker.request_ok("POST", "/v1/tasks/claim", claim))["task"]
        late = {"fence": lost["fence"], "text": "late"}
        path = f"/v1/tasks/{lost['task_id']}/complete"
        answer = await Agent((here, *others)[-1], first.issued).request("POST", path, late)
        accepted = lost if answer.status_code == 200 else held
        if accepted is held:
            await taker.request_ok("POST", path, {"fence": held["fence"], "text": "in time"})
        events = await tenant.events()
    assert lost["task_id"] == held["task_id"]
    return LateResult(
        answer=answer.json(),
        task_faults=check_tasks(events),
        result_faults=check_results(events, {lost["task_id"]: accepted["fence"]}),
    )


BY_ANOTHER = pytest.mark.parametrize("by_another", [True, False])


@BY_ANOTHER
async def test_result_of_a_lost_claim_is_refused_by_every_replica(
    replicas: Replicas, by_another: bool
) -> None:
    late = await report_late(replicas, by_another=by_another)
    assert late.answer["code"] == "stale_fence"
    assert (late.task_faults, late.result_faults) == ([], [])


async def test_checkers_detect_claims_without_fences(faulty_replicas: Replicas) -> None:
    """Prove that the tests above can fail."""
    by_another, by_itself = await asyncio.gather(
        report_late(faulty_replicas, by_another=True),
        report_late(faulty_replicas, by_another=False),
    )
    assert "code" not in by_another.answer
    [fault] = by_another.task_faults
    assert "claimed by" in fault
    assert by_itself.task_faults == []  # The log names one agent only.
    [fault] = by_itself.result_faults
    assert "has the result of claim" in fault
