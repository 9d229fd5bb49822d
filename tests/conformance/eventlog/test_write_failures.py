"""After a failed write no command is acknowledged until the connection is new and the log verified.

E13: after a failed fsync the driver would acknowledge the next commit. The outcome of the failed
command is unknown; the caller learns exactly that, and never that the command was rejected.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

import pytest

from quorate.eventlog import command_bus as bus_module
from quorate.eventlog.envelopes import Accepted, Unavailable
from quorate.eventlog.event_filter import Filter
from tests.conformance.eventlog.conformance import TENANT, Key, Stage, until
from tests.unit.support.sample_commands import heartbeat, register


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "REOPEN_WAIT_SECONDS", 0.01)


async def test_failed_write_is_not_acknowledged_and_leaves_no_event(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))

    assert await stage.types() == ["TenantCreated", "AgentRegistered"]


async def test_uncertain_write_is_not_acknowledged(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_after_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))

    assert (await stage.types()).count("AgentRegistered") == 2


async def test_all_callers_of_a_failed_batch_get_an_error(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    pending = [stage.start(register(f"agent{number}")) for number in range(5)]
    answers = await asyncio.gather(*pending, return_exceptions=True)

    assert [type(result) for result in answers] == [Unavailable] * 5


async def test_command_bus_continues_on_a_new_connection(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))
    await stage.execute(register("cid"))

    assert stage.database.reopened == 1
    assert [entry["event"] for entry in logged] == ["log.write_failed", "log.writes_recovered"]
    await stage.log.verify_range(0, 3)


async def test_no_command_is_acknowledged_without_a_connection(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann")
    assert not stage.command_bus.failing
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 3
    answers: list[object] = []
    while stage.database.reopened == 0:
        try:
            answers.append(await stage.submit(heartbeat("ann")))
        except Unavailable as refusal:
            answers.append(refusal)
            assert stage.command_bus.failing
    await stage.execute(register("bob"))

    assert not stage.command_bus.failing
    assert [type(result) for result in answers][:3] == [Unavailable] * 3
    events = [entry["event"] for entry in logged]
    assert events == ["log.write_failed", *["log.reopen_failed"] * 3, "log.writes_recovered"]


async def test_readers_work_during_write_failures(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 1_000_000
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter())
    stage.database.fail_reopen = 0

    assert [event.type for event in page.events] == ["TenantCreated", "AgentRegistered"]


async def test_tail_is_verified_before_the_next_append(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann", "bob")
    stage.database.fail_before_commit = 1
    stage.platform.overwrite("UPDATE events SET actor = 'mallory' WHERE position = 3")
    with pytest.raises(Unavailable):
        await stage.submit(register("cid"))
    await until(lambda: stage.command_bus.damage is not None)
    for _ in range(3):
        with pytest.raises(Unavailable, match="corrupted"):
            await stage.submit(register("dan"))

    assert stage.command_bus.damage is not None
    assert "event 3" in stage.command_bus.damage
    assert [entry["log_level"] for entry in logged if entry["event"] == "log.corrupted"] == [
        "critical"
    ]
    assert len(await stage.events()) == 3  # It can be read.


async def test_damage_that_two_checks_find_is_logged_once(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    for damage in ("planted", "planted", "another"):
        stage.command_bus.stop_writing(damage)

    assert [entry["damage"] for entry in logged] == ["planted", "another"]


async def test_queued_commands_are_rejected_when_the_log_is_corrupted(stage: Stage) -> None:
    await stage.create_agents("ann")
    with stage.database.hold():
        first = stage.start(heartbeat("ann"))
        await stage.database.held.wait()
        waiting = stage.start(register("bob"))
        await asyncio.sleep(0)
        stage.command_bus.stop_writing("planted")
    answers = await asyncio.gather(first, waiting, return_exceptions=True)

    assert [type(result) for result in answers] == [Accepted, Unavailable]


async def test_failed_pruning_counts_as_a_failed_write(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    stage.command_bus.prune_answers()
    await until(lambda: stage.database.reopened == 1)
    await stage.execute(register("bob"))

    assert [entry["event"] for entry in logged] == [
        "idempotency.prune_failed",
        "log.writes_recovered",
    ]


async def test_split_batch_may_fail(stage: Stage) -> None:
    """The database rejects a command, then the disk fails; the writer survives both."""
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    pending = [
        stage.start(register("bob")),
        stage.start(register("eve", role=cast("str", None))),
        stage.start(register("cid")),
    ]
    answers = await asyncio.gather(*pending, return_exceptions=True)
    await stage.execute(register("dan"))

    assert [type(result) for result in answers] == [Unavailable] * 3
    assert (await stage.types()).count("AgentRegistered") == 2


async def test_close_ends_reconnect_attempts(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 1_000_000
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))
    async with asyncio.timeout(2):
        await stage.command_bus.close()

    with pytest.raises(Unavailable):
        await stage.submit(register("cid"), key=Key(key="k1"))
