"""Each command is counted once by its outcome; recorded events and commits are counted too."""

import pytest
from prometheus_client import CollectorRegistry

from quorate.domain.shared.deadlines import RecordDue
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.metrics import CommandMetrics
from tests.conformance.eventlog.conformance import WINDOW_SECONDS, Key, Stage
from tests.unit.support.sample_commands import KIM, acquire, heartbeat, id_of, register


class Counted:
    """The metrics of the command bus from now on."""

    def __init__(self, stage: Stage) -> None:
        self._registry = CollectorRegistry()
        stage.command_bus.metrics = CommandMetrics(self._registry)

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"quorate_{name}", labels)

    def commands(self) -> dict[tuple[str, str], float]:
        """Return the counters of commands that are not 0, by type and outcome."""
        return {
            (sample.labels["command"], sample.labels["outcome"]): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == "quorate_commands_total" and sample.value
        }


def _fails_to_render(_outcome: object) -> bytes:
    raise RuntimeError


async def test_commands_are_counted_by_outcome(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    counted = Counted(stage)
    once = Key(key="k1")
    await stage.submit(acquire("ann", KIM, lease="l1"), key=once)
    await stage.submit(acquire("ann", KIM, lease="l2"), key=once)
    await stage.submit(acquire("bob", KIM, lease="l3"))
    with pytest.raises(CommandFailed):
        await stage.submit(heartbeat("ann"), render=_fails_to_render)

    assert counted.commands() == {
        ("AcquireLease", "done"): 1,
        ("AcquireLease", "replayed"): 1,
        ("AcquireLease", "lease_conflict"): 1,
        ("Heartbeat", "internal_error"): 1,
    }


async def test_unavailable_command_is_counted(stage: Stage) -> None:
    counted = Counted(stage)
    stage.command_bus.stop_writing("of a test")
    with pytest.raises(Unavailable):
        await stage.submit(register("ann"))

    assert counted.commands() == {("RegisterAgent", "unavailable"): 1}


async def test_events_are_counted_by_type(stage: Stage) -> None:
    await stage.create_agents("ann")
    counted = Counted(stage)
    await stage.submit(acquire("ann", KIM, lease="l1"))
    stage.clock.move(milliseconds=round(WINDOW_SECONDS * 1_000) + 1)
    await stage.submit(RecordDue(aggregate="agent", id=id_of("ann")))

    assert counted.value("events_total", type="AgentLapsed") == 1
    assert counted.value("events_total", type="LeaseRevoked") == 1
    assert counted.value("agent_timeouts_total") == 1


async def test_each_transaction_records_its_size_and_duration(stage: Stage) -> None:
    await stage.create_agents("ann")
    counted = Counted(stage)
    pending = [stage.start(heartbeat("ann")) for _ in range(5)]
    for each in pending:
        await each

    commits = counted.value("batch_commands_count")
    assert commits in {1, 2, 3, 4, 5}
    assert counted.value("batch_commands_sum") == 5
    assert counted.value("commit_seconds_count") == commits
    assert counted.value("commit_seconds_sum")
