"""A page of sessions reads only its sessions and one message of each, on every database."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from quorate.eventlog.contents import BEGINNING_BYTES
from quorate.projections.sessions.session_queries import SessionPosition
from quorate.projections.sessions.session_summaries import (
    SessionSummaries,
    SessionSummary,
    position_of,
)
from quorate.projections.snapshots import Size
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.conformance.projections.session_summaries_data import LONG, fill

SEARCH = "SEARCH sessions USING INDEX sessions_by_update (tenant=? AND updated_at<?)"


async def test_pages_are_found_by_the_index_of_the_last_change(tmp_path: Path) -> None:
    async with open_stage("sqlite", tmp_path) as stage:
        summaries = SessionSummaries(stage.log, stage.clock)
        for query in summaries._lists.values():
            with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
                values = [None] * len(query.parameters)
                found = connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", values)
                plan = [str(row[3]) for row in found]
            assert plan[0] == SEARCH, plan
            assert not [line for line in plan if line.startswith("SCAN")], plan


@pytest.mark.parametrize("database", DATABASES)
async def test_sessions_have_the_beginning_of_their_last_message(
    database: str, tmp_path: Path
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        summaries = SessionSummaries(stage.log, stage.clock)

        async def page(
            after: SessionPosition | None, limit: int, filter_: str | None = None
        ) -> tuple[Sequence[SessionSummary], bool]:
            size: Size[SessionSummary] = Size(of=lambda _one, _now: 1, bytes_max=2**20)
            found = await summaries.page(TENANT, filter_, after, limit, size)
            return found.found, found.has_more

        first, has_more = await page(None, 2)
        rest, is_cut = await page(position_of(first[-1].session), 9)
        (filtered,), _ = await page(None, 9, "PLAN")

        shown = [
            (one.session.key, one.last and (one.last.message.index, one.last.beginning))
            for one in (*first, *rest)
        ]
        assert (has_more, is_cut) == (True, False)
        assert shown == [
            ("session:empty", None),
            ("session:branch", (1, '{"own":1}')),
            ("session:shared", (0, "first")),
            ("session:plan", (1, LONG[: BEGINNING_BYTES // 3])),
            ("agent:ann:main", None),
        ]
        assert filtered.session.key == "session:plan"
