"""A check finds every row that differs from a replay of the log, and changes nothing."""

# ruff: noqa: S608 - the tables are our own.
import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quorate.projections import comparison as comparison_module
from quorate.projections import rebuild as rebuild_module
from quorate.projections.comparison import Difference
from quorate.projections.rebuild import RebuildCheckResult, check
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import RandomHistory
from tests.conformance.projections.test_rebuild import execute, open_database, open_snapshot

TABLES = sorted(metadata.tables)
# In other tables all columns are in the key: an edited row is one removed and one added row.
EDITABLE = [
    name
    for name in TABLES
    if not all(column.primary_key for column in metadata.tables[name].columns)
]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_module, "ROWS_PER_PAGE", 3)


async def check_history(path: Path) -> RebuildCheckResult:
    async with open_snapshot(path) as live, open_database(path.parent / "scratch.db") as scratch:
        return await check(live, scratch)


def middle_row(path: Path, table: str) -> dict[str, object]:
    """Return a row from the middle of a table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        return dict(rows[len(rows) // 2])


def where(table: str, row: dict[str, object]) -> str:
    key = [column.name for column in metadata.tables[table].primary_key]
    return " AND ".join(f"{name} = '{row[name]}'" for name in key)


def key_of(table: str, row: dict[str, object]) -> dict[str, object]:
    return {str(one.name): row[str(one.name)] for one in metadata.tables[table].primary_key}


def without_unique_indexes(table: str) -> list[str]:
    """Return the statements that let a row repeat the values of another one, but for its key."""
    indexes = metadata.tables[table].indexes
    return [f"DROP INDEX {index.name}" for index in indexes if index.unique]


async def test_check_of_an_unchanged_database_finds_no_difference(history: Path) -> None:
    assert (await check_history(history)).differences.count == 0


@pytest.mark.parametrize("table", EDITABLE)
async def test_check_finds_every_edited_column(history: Path, table: str) -> None:
    row = middle_row(history, table)
    others = [str(one.name) for one in metadata.tables[table].columns if not one.primary_key]
    execute(
        history,
        *without_unique_indexes(table),
        f"UPDATE {table} SET {', '.join(f'{name} = 77' for name in others)} "
        f"WHERE {where(table, row)}",
    )

    found = (await check_history(history)).differences

    assert [one.column for one in found.listed] == others
    assert {one.table for one in found.listed} == {table}
    assert all(one.key == key_of(table, row) for one in found.listed)
    assert all(str(one.live) == "77" for one in found.listed)
    assert {one.column: one.rebuilt for one in found.listed} == {name: row[name] for name in others}


@pytest.mark.parametrize("table", TABLES)
async def test_check_finds_a_removed_row(history: Path, table: str) -> None:
    row = middle_row(history, table)
    execute(history, f"DELETE FROM {table} WHERE {where(table, row)}")

    found = (await check_history(history)).differences

    missing = Difference(table=table, key=key_of(table, row), column=None, live=None, rebuilt=row)
    assert found.listed == [missing]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("id_", ["!first", "~last"])
async def test_check_finds_an_added_row(history: Path, table: str, id_: str) -> None:
    row = middle_row(history, table)
    last_key = list(key_of(table, row))[-1]
    columns = ", ".join(f"'{id_}'" if name == last_key else name for name in row)
    execute(
        history,
        *without_unique_indexes(table),
        f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE {where(table, row)}",
    )

    found = (await check_history(history)).differences

    assert [(one.column, one.rebuilt) for one in found.listed] == [(None, None)]
    assert found.listed[0].live == row | {last_key: id_}


async def test_all_differences_are_counted_and_the_first_are_listed(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_module, "DIFFERENCES_LISTED_MAX", 2)
    execute(history, "UPDATE votes SET reason = 'because', created_at = 0")
    with closing(sqlite3.connect(history)) as connection:
        ((votes,),) = connection.execute("SELECT count(*) FROM votes")

    found = (await check_history(history)).differences

    assert votes > 2
    assert found.count == 2 * votes
    assert len(found.listed) == 2


async def test_check_does_not_change_the_file(history: Path) -> None:
    before = history.read_bytes()

    await check_history(history)

    assert history.read_bytes() == before


async def test_check_reads_one_snapshot_of_a_live_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "EVENTS_PER_PAGE", 3)
    path = tmp_path / "quorate.db"
    async with (
        RandomHistory(path, seed=3) as random_history,
        open_snapshot(path) as live,
        open_database(tmp_path / "scratch.db") as scratch,
    ):
        await random_history.run(rounds=10)
        before = await random_history.log.committed_head()
        found, _ = await asyncio.gather(check(live, scratch), random_history.run(rounds=30))
        after = await random_history.log.committed_head()

    assert found.differences.listed == []
    assert before <= found.events < after
