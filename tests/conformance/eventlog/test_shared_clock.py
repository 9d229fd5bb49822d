"""Processes that share a log agree on one clock, and continue when the database's clock is set."""

from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, literal_column

from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.envelopes import Accepted
from quorate.eventlog.postgres import clock as postgres_clock
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.shared_clock import Correction, Reading, SharedClock, corrected
from quorate.runtime.clock import MonotonicClock
from tests.conformance.eventlog.conformance import Postgres, Stage, until
from tests.unit.support.sample_commands import acquire, heartbeat, register

HOUR = 3_600_000
SECOND = 1_000
NANOSECONDS = 1_000_000
NOON = 1_800_000_000_000


class Server:
    """The database: its clock, the correction, and the time of the last event."""

    def __init__(self) -> None:
        self.true = NOON
        self.set_by = 0
        self.correction: Correction | None = None
        self.last = Timestamp(NOON)

    @property
    def wall(self) -> int:
        return self.true + self.set_by


class Replica:
    """One process with its own steady clock."""

    def __init__(self, server: Server, *, factor: int = 1) -> None:
        self._server = server
        self._factor = factor
        self.paused = 0
        self.clock = MonotonicClock(self._measured(), self._steady)
        self.shared = SharedClock(self.clock)
        self.measure()

    def _steady(self) -> int:
        return (self._server.true - NOON - self.paused) * NANOSECONDS * self._factor

    def _measured(self) -> Any:  # noqa: ANN401 - a clock.
        server = self._server
        offset, correction = server.wall * NANOSECONDS - self._steady(), server.correction

        def now() -> int:
            wall = (self._steady() + offset) // NANOSECONDS
            return corrected(wall, correction) * NANOSECONDS

        return now

    def measure(self) -> None:
        if not self.clock.follow(self._measured()):
            self.batch(records=False)

    def batch(self, *, records: bool = True) -> int:
        server = self._server
        reading = Reading(wall=server.wall, correction=server.correction)
        now, server.correction = self.shared.decide(reading, server.last)
        if records:
            server.last = now
        return now


def run(server: Server, replicas: list[Replica], seconds: int, *, records: bool) -> list[int]:
    """Let time pass; each replica measures every two seconds and decides each second."""
    times = []
    for second in range(seconds):
        server.true += SECOND
        for replica in replicas:
            if second % 2:
                replica.measure()
            times.append(replica.batch(records=records))
    return times


@pytest.mark.parametrize("records", [True, False])
def test_jump_of_a_moment_changes_nothing(records: bool) -> None:
    server = Server()
    replicas = [Replica(server), Replica(server)]
    run(server, replicas, 10, records=records)
    server.set_by = HOUR
    run(server, replicas, 2, records=records)
    server.set_by = 0
    times = run(server, replicas, 10, records=records)

    assert times == sorted(times)
    assert times[-1] == pytest.approx(server.true, abs=SECOND)
    assert server.correction is None


@pytest.mark.parametrize("records", [True, False])
def test_time_continues_after_the_clock_was_set_back(records: bool) -> None:
    server = Server()
    replicas = [Replica(server), Replica(server)]
    run(server, replicas, 10, records=records)
    server.set_by = -HOUR
    times = run(server, replicas, 100, records=records)

    assert times == sorted(times)
    assert times[-1] == pytest.approx(server.true - 10 * SECOND, abs=2 * SECOND)
    assert server.wall < server.true - HOUR + SECOND


def test_time_meets_the_clock_again() -> None:
    server = Server()
    replicas = [Replica(server)]
    run(server, replicas, 10, records=True)
    server.set_by = -30 * SECOND
    run(server, replicas, 310, records=True)

    assert server.correction is None
    assert server.last == pytest.approx(server.wall, abs=SECOND)


@pytest.mark.parametrize("records", [True, False])
def test_time_follows_a_jump_that_lasts(records: bool) -> None:
    server = Server()
    replicas = [Replica(server), Replica(server)]
    run(server, replicas, 10, records=records)
    server.set_by = HOUR
    before = run(server, replicas, 50, records=records)
    times = run(server, replicas, 40, records=records)

    assert before[-1] == pytest.approx(server.true - 40 * SECOND, abs=SECOND)
    assert times[-1] == pytest.approx(server.wall, abs=SECOND)
    assert times == sorted(times)
    assert server.correction is None
    since_the_jump = server.true - 90 * SECOND
    assert replicas[0].clock.cautious() == pytest.approx(since_the_jump + 90 * SECOND, abs=SECOND)


def test_hour_ahead_until_it_lasted_and_back_again() -> None:
    """What was reported: for an hour, a lease of three seconds did not end."""
    server = Server()
    replicas = [Replica(server), Replica(server)]
    run(server, replicas, 10, records=True)
    server.set_by = HOUR
    run(server, replicas, 90, records=True)
    server.set_by = 0
    first, *_, last = run(server, replicas, 60, records=False)

    assert last - first >= 0.9 * 59 * SECOND
    assert last > server.true + HOUR - 10 * SECOND


def test_idle_time_is_not_lost_when_the_clock_is_set_back() -> None:
    """A process that agreed with the database until now knows how long nothing was recorded."""
    server = Server()
    replica = Replica(server)
    for _ in range(600):
        server.true += 2 * SECOND
        replica.measure()
    server.set_by = -HOUR
    server.true += 2 * SECOND
    replica.measure()

    assert replica.batch() == pytest.approx(server.true, abs=SECOND)


def test_replica_with_a_wild_clock_changes_nothing() -> None:
    server = Server()
    replicas = [Replica(server), Replica(server, factor=1_000)]
    times = run(server, replicas, 30, records=True)

    assert times[-1] == pytest.approx(server.true, abs=SECOND)
    assert server.correction is None


def test_replica_that_was_suspended_does_not_stop_the_others() -> None:
    server = Server()
    replicas = [Replica(server), Replica(server)]
    run(server, replicas, 10, records=True)
    run(server, replicas[:1], 300, records=True)
    replicas[1].paused = 300 * SECOND
    run(server, replicas, 10, records=True)

    assert server.last == pytest.approx(server.true, abs=2 * SECOND)


def test_new_replica_agrees_at_once() -> None:
    server = Server()
    replicas = [Replica(server)]
    run(server, replicas, 10, records=True)
    server.set_by = -HOUR
    run(server, replicas, 10, records=True)
    replicas.append(Replica(server))
    before = server.correction
    times = run(server, replicas, 10, records=False)

    assert times == sorted(times)
    assert server.correction == before


# -- On PostgreSQL --------------------------------------------------------------------


class SetServer:
    """A PostgreSQL schema where the server's clock is set by an offset in the query."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.platform = Postgres(folder)
        offset = "(SELECT coalesce(max(milliseconds), 0) FROM test_clock)"
        wall = literal_column(f"{postgres_clock._MILLISECONDS} + {offset}", BigInteger)
        now, *correction = postgres_clock.READING.exported_columns
        reading = postgres_clock.READING.with_only_columns(wall.label(now.name), *correction)
        sql = f"{postgres_clock._NOW.sql} + {offset} * {NANOSECONDS}"
        patch.setattr(postgres_clock._NOW, "sql", sql)
        patch.setattr(postgres_clock, "READING", reading)
        patch.setattr(PostgresDatabase, "shared_time", reading)
        self._stages: list[Stage] = []

    async def start(self) -> Stage:
        """Return another process on the log."""
        clock = MonotonicClock()
        stage = Stage(self.platform, clock=clock, shared_clock=SharedClock(clock))
        self._stages.append(stage)
        await stage.open()
        for _ in range(2):
            clock.follow((await stage.database.wall_clock())[0])
        return stage

    async def set(self, milliseconds: int) -> None:
        connection = await PostgresDatabase(self.platform.url).connect("test")
        try:
            await connection.execute("CREATE TABLE IF NOT EXISTS test_clock (milliseconds bigint)")
            await connection.execute("DELETE FROM test_clock")
            await connection.execute("INSERT INTO test_clock VALUES ($1)", milliseconds)
        finally:
            await connection.close()

    async def close(self) -> None:
        while self._stages:
            await self._stages.pop().close()


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SetServer]:
    server = SetServer(tmp_path, monkeypatch)
    await server.set(0)
    try:
        yield server
    finally:
        await server.close()


async def _times(stage: Stage) -> list[int]:
    return [event.at for event in await stage.events()]


async def test_hour_ahead_for_a_moment_is_ignored_by_all_processes(
    server: SetServer, logged: list[MutableMapping[str, Any]]
) -> None:
    stages = [await server.start(), await server.start()]
    await stages[0].create_agents("ann", "bob")
    await server.set(HOUR)
    await stages[0].execute(register("cid"))
    await stages[1].execute(register("dan"))
    await server.set(0)
    await stages[1].execute(register("eve"))
    await stages[0].execute(register("fay"))
    times = await _times(stages[0])

    assert times == sorted(times)
    assert times[-1] - times[0] < HOUR / 2
    assert [entry["event"] for entry in logged] == ["clock.corrected"] * 2


async def test_lease_ends_in_time_after_the_clock_was_set_back(server: SetServer) -> None:
    """Time is an hour ahead of the database's clock, and flows on for all processes."""
    await server.set(HOUR)
    stages = [await server.start(), await server.start()]
    await stages[0].create_agents("ann", "bob")
    await stages[0].execute(acquire("ann", minutes=1 / 60))
    await server.set(0)

    async def has_expired() -> bool:
        for stage in stages:
            await stage.execute(RecordDue(aggregate="lease", id="new-lease"))
        return "LeaseExpired" in await stages[0].types()

    await until(has_expired)
    granted = await stages[1].submit(acquire("bob", lease="l2"))
    await stages[1].execute(heartbeat("bob"))

    assert isinstance(granted, Accepted)


async def test_correction_is_made_without_a_command(server: SetServer) -> None:
    await server.set(HOUR)
    stage = await server.start()
    await stage.create_agents("ann")
    await server.set(0)
    before = stage.database.commits
    stage.command_bus.agree_on_time()
    await until(lambda: stage.database.commits > before)
    wall, lead = await stage.database.wall_clock()
    last = (await _times(stage))[-1]

    assert wall() // NANOSECONDS >= last
    assert lead == pytest.approx(HOUR * NANOSECONDS, abs=HOUR * NANOSECONDS / 10)
