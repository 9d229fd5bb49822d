"""Plans of the statements of search and contents on SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from quorate.eventlog.contents import ContentStore
from quorate.eventlog.transactions import Query
from quorate.projections.mail import mailboxes
from quorate.projections.mail.search import MailSearch
from quorate.projections.search_index import SearchIndex
from tests.conformance.projections.projection_stage import open_stage


async def test_no_statement_reads_all_rows_of_a_tenant(tmp_path: Path) -> None:
    """SQLite has no statistics; it must not prefer an index of which only the tenant is known."""
    async with open_stage("sqlite", tmp_path) as stage:
        index, contents = SearchIndex(stage.log), ContentStore(stage.database)
        owners = mailboxes.of_messages(stage.database, select(mailboxes.TABLE))
        queries = [
            value
            for holder in (index, contents, MailSearch(stage.log, stage.clock)._queries)
            for value in vars(holder).values()
            if isinstance(value, Query) and value.columns
        ]
    with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
        for query in (*queries, owners):
            values = [None] * len(query.parameters)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", values).fetchall()
            steps = [row[3] for row in plan if "search_tenants" not in row[3]]
            assert not any(step.endswith("(tenant=?)") for step in steps), (query.sql, plan)
    assert len(queries) > 8
