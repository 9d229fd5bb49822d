"""A check finds every row that the log does not account for, and changes nothing itself."""

# ruff: noqa: S608 - the tables are our own.
import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quorate.projections import comparison as comparing
from quorate.projections import rebuild as rebuilding
from quorate.projections.comparison import Difference
from quorate.projections.rebuild import Checked, check
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import Town
from tests.conformance.projections.test_rebuild import by_hand, opened, snapshot

TABLES = sorted(metadata.tables)
# Of the others, a row that is edited is one removed and one added.
EDITABLE = [
    name
    for name in TABLES
    if not all(column.primary_key for column in metadata.tables[name].columns)
]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "ROWS_PER_PAGE", 3)


async def checked(path: Path) -> Checked:
    async with snapshot(path) as live, opened(path.parent / "scratch.db") as scratch:
        return await check(live, scratch)


def a_row(path: Path, table: str) -> dict[str, object]:
    """One from the middle."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        return dict(rows[len(rows) // 2])


def where(table: str, row: dict[str, object]) -> str:
    key = [column.name for column in metadata.tables[table].primary_key]
    return " AND ".join(f"{name} = '{row[name]}'" for name in key)


def key_of(table: str, row: dict[str, object]) -> dict[str, object]:
    return {str(one.name): row[str(one.name)] for one in metadata.tables[table].primary_key}


async def test_nothing_is_found_where_nothing_was_done(history: Path) -> None:
    assert (await checked(history)).differences.count == 0


@pytest.mark.parametrize("table", EDITABLE)
async def test_a_row_edited_by_hand_is_found_in_every_column(history: Path, table: str) -> None:
    row = a_row(history, table)
    others = [str(one.name) for one in metadata.tables[table].columns if not one.primary_key]
    by_hand(
        history,
        "DROP INDEX leases_live",
        "DROP INDEX agents_by_name",
        f"UPDATE {table} SET {', '.join(f'{name} = 77' for name in others)} "
        f"WHERE {where(table, row)}",
    )

    found = (await checked(history)).differences

    assert [one.column for one in found.named] == others
    assert {one.table for one in found.named} == {table}
    assert all(one.key == key_of(table, row) for one in found.named)
    assert all(str(one.live) == "77" for one in found.named)
    assert {one.column: one.rebuilt for one in found.named} == {name: row[name] for name in others}


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_removed_by_hand_is_found(history: Path, table: str) -> None:
    row = a_row(history, table)
    by_hand(history, f"DELETE FROM {table} WHERE {where(table, row)}")

    found = (await checked(history)).differences

    missing = Difference(table=table, key=key_of(table, row), column=None, live=None, rebuilt=row)
    assert found.named == [missing]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("id_", ["!first", "~last"])
async def test_a_row_added_by_hand_is_found(history: Path, table: str, id_: str) -> None:
    row = a_row(history, table)
    last_key = list(key_of(table, row))[-1]
    columns = ", ".join(f"'{id_}'" if name == last_key else name for name in row)
    by_hand(
        history,
        "DROP INDEX leases_live",
        "DROP INDEX agents_by_name",
        f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE {where(table, row)}",
    )

    found = (await checked(history)).differences

    assert [(one.column, one.rebuilt) for one in found.named] == [(None, None)]
    assert found.named[0].live == row | {last_key: id_}


async def test_all_differences_are_counted_and_the_first_are_named(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "DIFFERENCES_NAMED_MAX", 2)
    by_hand(history, "UPDATE votes SET reason = 'because', created_at = 0")
    with closing(sqlite3.connect(history)) as connection:
        ((votes,),) = connection.execute("SELECT count(*) FROM votes")

    found = (await checked(history)).differences

    assert votes > 2
    assert found.count == 2 * votes
    assert len(found.named) == 2


async def test_a_check_leaves_the_file_as_it_was(history: Path) -> None:
    before = history.read_bytes()

    await checked(history)

    assert history.read_bytes() == before


async def test_a_check_sees_one_moment_of_a_log_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "EVENTS_PER_PAGE", 3)
    path = tmp_path / "quorate.db"
    async with (
        Town(path, seed=3) as town,
        snapshot(path) as live,
        opened(tmp_path / "scratch.db") as scratch,
    ):
        await town.live(rounds=10)
        before = await town.log.committed_head()
        found, _ = await asyncio.gather(check(live, scratch), town.live(rounds=30))
        after = await town.log.committed_head()

    assert found.differences.named == []
    assert before <= found.events < after
