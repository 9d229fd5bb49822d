"""Maintenance work of the writer: one transaction each, and commands go first."""

import asyncio

import pytest

from quorate.domain.shared.email_addresses import EmailAddress
from quorate.eventlog import command_bus
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable
from tests.conformance.eventlog.conformance import TENANT, Stage, Statement
from tests.unit.support.sample_commands import KIM, LEE, acquire

MARK = Statement("INSERT INTO unindexed_messages (tenant, message_id) VALUES ('acme', 'msg_1')")


async def mark(transaction: DatabaseTransaction) -> None:
    await transaction.fetch(MARK, {})


async def marks(stage: Stage) -> int:
    async with stage.log.read() as transaction:
        found = await transaction.fetch(Statement("SELECT message_id FROM unindexed_messages"), {})
    return len(found)


async def test_chore_is_committed_when_it_ends(stage: Stage) -> None:
    await stage.command_bus.run_chore(mark)

    assert await marks(stage) == 1


async def test_commands_that_wait_are_executed_before_a_chore(stage: Stage) -> None:
    await stage.create_agents("ann")
    committed: list[int] = []

    async def work(_transaction: DatabaseTransaction) -> None:
        committed.append(sum(map(len, stage.committed)))

    with stage.database.hold():
        first = stage.start(acquire("ann", KIM))
        await stage.database.held.wait()
        chore = asyncio.create_task(stage.command_bus.run_chore(work))
        second = stage.start(acquire("ann", LEE, lease="lee"))
        await asyncio.sleep(0)
    await asyncio.gather(first, chore, second)

    assert committed == [len(await stage.events())]


async def test_chore_waits_for_clients_that_send_their_next_commands(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.create_agents("ann")
    await stage.command_bus.run_chore(mark)
    monkeypatch.setattr(command_bus, "CHORE_WAIT_SECONDS", 60)
    await stage.execute(acquire("ann", KIM))
    events = len(await stage.events())
    committed: list[int] = []

    async def work(_transaction: DatabaseTransaction) -> None:
        committed.append(sum(map(len, stage.committed)))

    chore = asyncio.create_task(stage.command_bus.run_chore(work))
    for number in range(1, command_bus.BATCHES_BEFORE_CHORE):
        address = f"{number}@example.com"
        contact = EmailAddress(email=address, key=address)
        await stage.execute(acquire("ann", contact, lease=f"{number}"))
    await chore

    assert committed == [events + command_bus.BATCHES_BEFORE_CHORE - 1]


async def test_chore_that_raises_changes_nothing_and_stops_nothing(stage: Stage) -> None:
    async def fail(transaction: DatabaseTransaction) -> None:
        await mark(transaction)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await stage.command_bus.run_chore(fail)

    assert await marks(stage) == 0
    await stage.create_agents("ann")
    await stage.command_bus.run_chore(mark)


async def test_chore_fails_with_the_database_and_later_work_succeeds(stage: Stage) -> None:
    stage.database.fail_before_commit = 1

    with pytest.raises(DatabaseUnavailable):
        await stage.command_bus.run_chore(mark)

    await stage.create_agents("ann", tenant=TENANT)
    assert await marks(stage) == 0


async def test_chores_are_rejected_when_the_log_is_closed_or_read_only(stage: Stage) -> None:
    with stage.database.hold():
        first = asyncio.create_task(stage.command_bus.run_chore(mark))
        await stage.database.held.wait()
        second = asyncio.create_task(stage.command_bus.run_chore(mark))
        await asyncio.sleep(0)
        closing = asyncio.create_task(stage.command_bus.close())
        await asyncio.sleep(0)
    await first
    await closing
    for rejected in (second, stage.command_bus.run_chore(mark)):
        with pytest.raises(Unavailable):
            await rejected
