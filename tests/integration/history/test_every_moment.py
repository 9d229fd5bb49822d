"""At every moment, each operation that reads answers as on a log that was stopped there.

The log has random commands of every kind. What is compared is the whole response.
QUORATE_PASTS sets the number of histories on each database, QUORATE_PAST_ROUNDS their length, and
QUORATE_PAST_MOMENTS at how many moments of each answers are compared: a number, or "all".
"""

import os
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from pathlib import Path

import pytest

from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import iso
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.history import statements
from tests.conformance.projections.random_history import TENANTS, RandomHistory
from tests.integration.history.past_services import (
    Read,
    ReadingService,
    StoppedLog,
    follow,
    stopped_log,
)
from tests.integration.history.reads import OPERATIONS_WITH_PAST, Reads, find_ids
from tests.support.postgres import PostgresServer

HISTORIES = int(os.environ.get("QUORATE_PASTS", "1"))
SEEDS = range(1, HISTORIES + 1)
ROUNDS = int(os.environ.get("QUORATE_PAST_ROUNDS", "24"))
MOMENTS_NAMED = os.environ.get("QUORATE_PAST_MOMENTS", "7")
EVERY_MOMENT = MOMENTS_NAMED == "all"
MOMENTS = 7 if EVERY_MOMENT else int(MOMENTS_NAMED)
READS_PER_OPERATION = 4
TENANT = TENANTS[0]


@asynccontextmanager
async def open_past(
    database: Database, folder: Path, seed: int
) -> AsyncIterator[tuple[ReadingService, StoppedLog]]:
    """Record a random history; return a service with all of it, and a log that is still empty."""
    async with RandomHistory(database, seed, schedules=True) as history:
        await history.create_operators()
        await history.run(ROUNDS)
        await history.log.load_id()
        await follow(history.log, events_per_part=random.Random(seed).choice((1, 7, 200)))
        async with stopped_log(history.log, folder) as stopped:
            yield ReadingService(history.log, lambda: history.now), stopped


@record
class _Moment:
    """The moment after an event; ``time`` names it too, unless later events have the same time."""

    event: RecordedEvent
    time: str | None


async def moments_of(log: EventStore, seed: int) -> Sequence[_Moment]:
    """Return some moments of the tenant, or all, in their order."""
    rows = await log.after(0, 100_000)
    moments = [
        _Moment(event=row, time=iso(row.at) if following is None or following.at > row.at else None)
        for row, following in zip_longest(rows, rows[1:])
        if row.tenant == TENANT
    ]
    if EVERY_MOMENT:
        return moments
    chooser = random.Random(seed)
    named = [one for one in moments if one.time is not None]
    chosen = {
        one.event.position: one
        for one in (*chooser.sample(moments[1:], MOMENTS), *chooser.sample(named, 2), moments[-1])
    }
    return [chosen[position] for position in sorted(chosen)]


async def reads_of(log: EventStore, seed: int, operations: Iterable[str]) -> list[Read]:
    """Return some reads of each of these operations."""
    reads = Reads(TENANT, await find_ids(log, TENANT))
    chooser = random.Random(seed)
    found: list[Read] = []
    for operation in operations:
        of_operation = reads.of(operation)
        found += chooser.sample(of_operation, min(READS_PER_OPERATION, len(of_operation)))
    return found


async def compare(
    whole: ReadingService,
    stopped: StoppedLog,
    seed: int,
    operations: Iterable[str] = OPERATIONS_WITH_PAST,
) -> int:
    """Compare all answers; return how many were no problem."""
    answered = 0
    reads = await reads_of(whole.log, seed, operations)
    chooser = random.Random(seed)
    for moment in await moments_of(whole.log, seed):
        event = moment.event
        await stopped.advance(event.position)
        for read in reads:
            names = [moment.time, *([] if is_of_operators(read) else [event.sequence])]
            name = chooser.choice([one for one in names if one is not None] or [None])
            if name is None:  # The sequences of the operators' tenant are others.
                continue
            past = await whole.answer(read, name)
            then = await stopped.service.answer(read)
            where = f"{read} as of {name}, position {event.position}"
            assert past.body == then.body, where
            assert (past.sequence, past.headers) == (then.sequence, then.headers), where
            answered += past.sequence is not None
    return answered


def is_of_operators(read: Read) -> bool:
    return read.principal.tenant == OPERATORS and not read.path


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_operation_answers_as_the_stopped_log_on_sqlite(
    tmp_path: Path, seed: int
) -> None:
    database = SqliteDatabase(tmp_path / "quorate.db")
    async with open_past(database, tmp_path / "stopped", seed) as (whole, stopped):
        assert await compare(whole, stopped, seed) > MOMENTS * len(OPERATIONS_WITH_PAST)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_operation_answers_as_the_stopped_log_on_postgres(
    tmp_path: Path, postgres: PostgresServer, seed: int
) -> None:
    database = PostgresDatabase(postgres.database_url())
    seed += 1_000  # Another history than on SQLite.
    async with open_past(database, tmp_path / "stopped", seed) as (whole, stopped):
        assert await compare(whole, stopped, seed) > MOMENTS * len(OPERATIONS_WITH_PAST)


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
async def test_page_of_very_many_leases_has_the_same_rows(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    database: Database = SqliteDatabase(tmp_path / "quorate.db")
    if name == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        database = PostgresDatabase(server.database_url())
    monkeypatch.setattr(statements, "SORTED_MAX", 1)
    monkeypatch.setattr(statements, "_made", {})
    async with open_past(database, tmp_path / "stopped", 2_000) as (whole, stopped):
        assert await compare(whole, stopped, 2_000, ("listLeases",)) > MOMENTS
    assert any(one.in_order is not None for one in statements._made.values())
