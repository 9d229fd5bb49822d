"""After a failed write nothing is acknowledged until the connection is new and the log is whole.

E13: the driver would happily acknowledge the next commit after a failed fsync. What became of the
failed command is unknown to its caller, and it is told so; it is never told that it was refused.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

import pytest

from quorate.eventlog import command_bus as door_module
from quorate.eventlog.envelopes import Accepted, Unavailable
from quorate.eventlog.event_store import Filter
from tests.conformance.eventlog.conformance import TENANT, Key, Stage, until
from tests.unit.support.scenario import heartbeat, register


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "REOPEN_WAIT_SECONDS", 0.01)


async def test_a_write_that_fails_is_not_acknowledged_and_leaves_no_trace(stage: Stage) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.ask(register("bob"))

    assert await stage.types() == ["TenantCreated", "AgentRegistered"]


async def test_a_write_that_may_have_happened_is_not_acknowledged_either(stage: Stage) -> None:
    await stage.told_of("ann")
    stage.database.fail_after_commit = 1
    with pytest.raises(Unavailable):
        await stage.ask(register("bob"))

    assert (await stage.types()).count("AgentRegistered") == 2


async def test_all_of_a_batch_hear_that_it_failed(stage: Stage) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    asking = [stage.asking(register(f"agent{number}")) for number in range(5)]
    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable] * 5


async def test_the_door_goes_on_behind_a_new_connection(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.ask(register("bob"))
    await stage.told(register("cid"))

    assert stage.database.reopened == 1
    assert [entry["event"] for entry in logged] == ["log.write_failed", "log.reopened"]
    await stage.log.verify_range(0, 3)


async def test_nothing_is_acknowledged_until_there_is_a_connection(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.told_of("ann")
    assert not stage.door.failing
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 3
    answers: list[object] = []
    while stage.database.reopened == 0:
        try:
            answers.append(await stage.ask(heartbeat("ann")))
        except Unavailable as refusal:
            answers.append(refusal)
            assert stage.door.failing
    await stage.told(register("bob"))

    assert not stage.door.failing
    assert [type(answer) for answer in answers][:3] == [Unavailable] * 3
    events = [entry["event"] for entry in logged]
    assert events == ["log.write_failed", *["log.still_unavailable"] * 3, "log.reopened"]


async def test_readers_read_on_meanwhile(stage: Stage) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 1_000_000
    with pytest.raises(Unavailable):
        await stage.ask(register("bob"))
    page = await stage.log.page(TENANT, 0, limit=9, wanted=Filter())
    stage.database.fail_reopen = 0

    assert [event.type for event in page.events] == ["TenantCreated", "AgentRegistered"]


async def test_the_end_of_the_log_is_checked_before_anything_is_added_to_it(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.told_of("ann", "bob")
    stage.database.fail_before_commit = 1
    stage.platform.overwrite("UPDATE events SET actor = 'mallory' WHERE position = 3")
    with pytest.raises(Unavailable):
        await stage.ask(register("cid"))
    await until(lambda: stage.door.damage is not None)
    for _ in range(3):
        with pytest.raises(Unavailable, match="damaged"):
            await stage.ask(register("dan"))

    assert stage.door.damage is not None
    assert "event 3" in stage.door.damage
    assert [entry["log_level"] for entry in logged if entry["event"] == "log.damaged"] == [
        "critical"
    ]
    assert len(await stage.events()) == 3  # It can be read.


async def test_whoever_waits_when_the_log_is_found_damaged_is_refused(stage: Stage) -> None:
    await stage.told_of("ann")
    with stage.database.hold():
        first = stage.asking(heartbeat("ann"))
        await stage.database.held.wait()
        waiting = stage.asking(register("bob"))
        await asyncio.sleep(0)
        stage.door.stop_writing("planted")
    answers = await asyncio.gather(first, waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Accepted, Unavailable]


async def test_a_failed_clean_up_counts_as_a_failed_write(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    stage.door.prune_answers()
    await until(lambda: stage.database.reopened == 1)
    await stage.told(register("bob"))

    assert [entry["event"] for entry in logged] == ["log.prune_failed", "log.reopened"]


async def test_a_batch_that_is_divided_may_fail_as_well(stage: Stage) -> None:
    """One order is refused by the database, then the disk fails: the writer survives both."""
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    asking = [
        stage.asking(register("bob")),
        stage.asking(register("eve", role=cast("str", None))),
        stage.asking(register("cid")),
    ]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    await stage.told(register("dan"))

    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert (await stage.types()).count("AgentRegistered") == 2


async def test_closing_ends_the_attempts_to_reconnect(stage: Stage) -> None:
    await stage.told_of("ann")
    stage.database.fail_before_commit = 1
    stage.database.fail_reopen = 1_000_000
    with pytest.raises(Unavailable):
        await stage.ask(register("bob"))
    async with asyncio.timeout(2):
        await stage.door.close()

    with pytest.raises(Unavailable):
        await stage.ask(register("cid"), key=Key(key="k1"))
