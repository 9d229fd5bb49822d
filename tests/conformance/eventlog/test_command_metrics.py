"""Each command is counted once by its outcome; recorded events and commits are counted too."""

import pytest

from quorate.domain.shared.deadlines import RecordDue
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from tests.conformance.eventlog.conformance import WINDOW_SECONDS, Key, Stage
from tests.unit.support.sample_commands import KIM, acquire, heartbeat, id_of, register


def _fails_to_render(_outcome: object) -> bytes:
    raise RuntimeError


async def test_commands_are_counted_by_outcome(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    tally = stage.command_bus.metrics
    tally.commands.clear()
    once = Key(key="k1")
    await stage.submit(acquire("ann", KIM, lease="l1"), key=once)
    await stage.submit(acquire("ann", KIM, lease="l2"), key=once)
    await stage.submit(acquire("bob", KIM, lease="l3"))
    with pytest.raises(CommandFailed):
        await stage.submit(heartbeat("ann"), render=_fails_to_render)

    assert dict(tally.commands) == {
        ("AcquireLease", "done"): 1,
        ("AcquireLease", "replayed"): 1,
        ("AcquireLease", "lease_conflict"): 1,
        ("Heartbeat", "internal_error"): 1,
    }


async def test_unavailable_command_is_counted(stage: Stage) -> None:
    stage.command_bus.stop_writing("of a test")
    with pytest.raises(Unavailable):
        await stage.submit(register("ann"))

    assert stage.command_bus.metrics.commands["RegisterAgent", "unavailable"] == 1


async def test_events_are_counted_by_type(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(acquire("ann", KIM, lease="l1"))
    stage.clock.move(milliseconds=round(WINDOW_SECONDS * 1_000) + 1)
    await stage.submit(RecordDue(aggregate="agent", id=id_of("ann")))

    assert stage.command_bus.metrics.events["AgentLapsed"] == 1
    assert stage.command_bus.metrics.events["LeaseRevoked"] == 1


async def test_each_transaction_records_its_size_and_duration(stage: Stage) -> None:
    await stage.create_agents("ann")
    tally = stage.command_bus.metrics
    before = tally.batch_commands.count, tally.batch_commands.sum
    pending = [stage.start(heartbeat("ann")) for _ in range(5)]
    for each in pending:
        await each

    commits = tally.batch_commands.count - before[0]
    assert 1 <= commits <= 5
    assert tally.batch_commands.sum - before[1] == 5
    assert tally.commit_seconds.count == tally.batch_commands.count
    assert tally.commit_seconds.sum > 0
