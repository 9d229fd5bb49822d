"""A transaction writes, reads its writes, and commits or rolls back as a whole."""

import asyncio

import pytest
from sqlalchemy import insert, select

from quorate.eventlog.transactions import (
    DatabaseTransaction,
    DatabaseUnavailable,
    Lookup,
    Query,
    StatementRejected,
)
from quorate.projections.tables import agents, configs, keys, votes
from tests.conformance.eventlog.conformance import Stage

TEXTS = [
    "",
    "plain",
    "quotes \" and \\ and ' and ` and %s :name ?",
    "line\nfeed\ttab\x01\x1f\x7f",
    "Zoë e\u0301 \u2028 \U0001f680 \ufeff",
    '{"json": [1, null]}',
    "x" * 100_000,
]
INTEGERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]


def query(stage: Stage, table: object) -> Query:
    return Query(select(table), stage.database.dialect)  # type: ignore[call-overload]


async def write(
    transaction: DatabaseTransaction, stage: Stage, table: object, *rows: tuple[object, ...]
) -> None:
    statement = insert(table)  # type: ignore[arg-type]
    await transaction.write(Query(statement, stage.database.dialect), rows)


pytestmark = pytest.mark.usefixtures("slow_transactions")


def config(number: int, settings: str = "{}") -> tuple[str, str, str]:
    return ("acme", f"agent_{number:06}", settings)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 128, 511, 512, 513, 20_001])
async def test_any_number_of_rows_is_written(stage: Stage, count: int) -> None:
    rows = [config(number) for number in range(count)]
    async with stage.database.write() as transaction:
        await write(transaction, stage, configs, *rows)
    async with stage.database.read() as transaction:
        found = await transaction.fetch(query(stage, configs), {})

    assert sorted(found) == rows


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
async def test_text_round_trips(stage: Stage, text: str) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, configs, config(1, text))
    async with stage.database.read() as transaction:
        (row,) = await transaction.fetch(query(stage, configs), {})

    assert row.settings == text


@pytest.mark.parametrize("number", INTEGERS)
async def test_integers_round_trip(stage: Stage, number: int) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, votes, ("acme", "r", "a", "v", "approve", "why", number))
    async with stage.database.read() as transaction:
        (row,) = await transaction.fetch(query(stage, votes), {})

    assert (row.created_at, type(row.created_at)) == (number, int)


# The agent and its name, the time of issue, of revocation and of expiry.
NULLS = (None, None, 1, None, None, None)


async def test_null_round_trips(stage: Stage) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, keys, ("k", "acme", "admin", "hash", *NULLS))
        await write(transaction, stage, votes, ("acme", "r", "a", "v", "approve", None, 1))
    async with stage.database.read() as transaction:
        (key,) = await transaction.fetch(query(stage, keys), {})
        (vote,) = await transaction.fetch(query(stage, votes), {})

    assert (key.agent_id, key.agent_name, key.revoked_at, vote.reason) == (None,) * 4


async def test_columns_are_read_by_name(stage: Stage) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, votes, ("acme", "r", "a", "v", "approve", "why", 7))
        (row,) = await transaction.fetch(query(stage, votes), {})

    assert row._fields == tuple(column.name for column in votes.columns)
    assert (row.vote, row.created_at) == ("approve", 7)


async def test_transaction_reads_its_own_writes(stage: Stage) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, configs, config(1))
        assert len(await transaction.fetch(query(stage, configs), {})) == 1
        await write(transaction, stage, configs, config(2))
        assert len(await transaction.fetch(query(stage, configs), {})) == 2


async def test_combined_lookups_return_rows_in_order(stage: Stage) -> None:
    async with stage.database.write() as transaction:
        await write(transaction, stage, configs, config(1))
        found: list[int] = []
        await transaction.look_up(
            [
                Lookup(
                    query=query(stage, table), values={}, take=lambda rows: found.append(len(rows))
                )
                for table in (configs, votes, configs)
            ]
        )

    assert found == [1, 0, 1]


async def test_exception_rolls_back(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match="planted"):  # noqa: PT012
        async with stage.database.write() as transaction:
            await write(transaction, stage, configs, *(config(number) for number in range(600)))
            await transaction.fetch(query(stage, configs), {})
            raise RuntimeError("planted")

    async with stage.database.read() as transaction:
        assert await transaction.fetch(query(stage, configs), {}) == []


async def test_rejected_row_rolls_back(stage: Stage) -> None:
    with pytest.raises(StatementRejected):  # noqa: PT012 - which of them it is may show only at the end.
        async with stage.database.write() as transaction:
            await write(transaction, stage, votes, ("acme", "r", "a", "v", "approve", None, 1))
            await write(transaction, stage, configs, config(1), config(2), config(1))
            await write(transaction, stage, configs, config(3))

    async with stage.database.read() as transaction:
        assert await transaction.fetch(query(stage, configs), {}) == []
        assert await transaction.fetch(query(stage, votes), {}) == []


@pytest.mark.parametrize("value", [2**63, "\ud800"])
async def test_invalid_value_is_rejected(stage: Stage, value: object) -> None:
    with pytest.raises(StatementRejected):
        async with stage.database.write() as transaction:
            await write(transaction, stage, votes, ("acme", "r", "a", "v", "approve", value, value))
    async with stage.database.write() as transaction:
        assert await transaction.fetch(query(stage, votes), {}) == []


async def test_consecutive_transactions_commit(stage: Stage) -> None:
    for number in range(3):
        async with stage.database.write() as transaction:
            await write(transaction, stage, configs, config(number))
    async with stage.database.read() as transaction:
        assert len(await transaction.fetch(query(stage, configs), {})) == 3


async def test_cancelled_transaction_is_rolled_back(stage: Stage) -> None:
    for patience in range(12):
        writing = asyncio.create_task(_write_slowly(stage))
        for _ in range(patience):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        async with stage.database.write() as transaction:
            assert await transaction.fetch(query(stage, agents), {}) == []


async def _write_slowly(stage: Stage) -> None:
    async with stage.database.write() as transaction:
        await transaction.fetch(query(stage, configs), {})
        await write(transaction, stage, configs, config(1))
        await transaction.fetch(query(stage, configs), {})
        await asyncio.Event().wait()


async def test_closed_database_reports_that_it_is_closed(stage: Stage) -> None:
    await stage.close()
    with pytest.raises(DatabaseUnavailable):
        async with stage.database.write() as transaction:
            await transaction.fetch(query(stage, configs), {})
