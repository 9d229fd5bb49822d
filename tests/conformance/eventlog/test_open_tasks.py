"""The limit of open tasks is exact, however many requests and replicas compete."""

from pathlib import Path

from quorate.domain.shared.quotas import Quotas
from tests.conformance.eventlog.conformance import TENANT, Postgres, Stage
from tests.conformance.eventlog.test_mail_limits import outcomes, stored
from tests.unit.sessions.sample_tasks import CALLER, cancel, spawn

LIMIT, TRIED = 5, 12
QUOTAS = Quotas(open_tasks_per_agent=LIMIT)
EXPECTED = {"accepted": 2 * LIMIT, "quota_exceeded": 2 * (TRIED - LIMIT)}
SPAWNED = [spawn(f"{name}{number}", by=name) for number in range(TRIED) for name in ("ann", "bob")]
assert CALLER.tenant == TENANT


async def test_concurrent_tasks_of_each_agent_stop_at_the_limit(stage: Stage) -> None:
    stage.quotas = QUOTAS
    await stage.restart()
    await stage.create_agents("ann", "bob")
    assert await outcomes([stage], SPAWNED) == EXPECTED
    assert await stored(stage, "TaskSubmitted") == 2 * LIMIT


async def test_count_is_stored_and_an_ended_task_frees_its_place(stage: Stage) -> None:
    stage.quotas = QUOTAS
    await stage.restart()
    await stage.create_agents("ann", "bob")
    for number in range(LIMIT):
        await stage.execute(spawn(f"first{number}"))
    await stage.restart()
    tried = [spawn(f"second{number}") for number in range(3)]
    assert await outcomes([stage], tried) == {"quota_exceeded": 3}
    await stage.execute(cancel("first0"))
    await stage.restart()
    tried = [spawn(f"third{number}") for number in range(3)]
    assert await outcomes([stage], tried) == {"accepted": 1, "quota_exceeded": 2}


async def test_two_replicas_keep_the_limit_together(tmp_path: Path) -> None:
    platform = Postgres(tmp_path)
    replicas = [Stage(platform), Stage(platform)]
    replicas[1].event_ids = replicas[0].event_ids
    replicas[1].command_ids = replicas[0].command_ids
    for replica in replicas:
        replica.quotas = QUOTAS
        replica._build()
        await replica.open()
    try:
        await replicas[0].create_agents("ann", "bob")
        assert await outcomes(replicas, SPAWNED) == EXPECTED
        assert await stored(replicas[1], "TaskSubmitted") == 2 * LIMIT
    finally:
        for replica in replicas:
            await replica.close()
