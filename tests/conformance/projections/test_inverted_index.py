"""A search on PostgreSQL reads the inverted index, and not the documents of every tenant."""

from collections.abc import AsyncIterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from quorate.domain.sessions.policies import Access
from quorate.eventlog.tables import search_documents
from quorate.eventlog.transactions import Query
from quorate.projections.inverted_index import InvertedIndex
from quorate.projections.mail.search import MailSearch, SearchFilter
from quorate.projections.search_index import SearchIndex
from quorate.projections.sessions.session_search import SessionSearch, SessionSearchFilter
from quorate.projections.snapshots import Snapshot, open_snapshot
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import ProjectionStage, open_stage

DOCUMENTS = 3_000  # Of another tenant; so many that PostgreSQL does not scan them for their size.
INDEX = "search_documents_words"
SEARCHES = ("mail", "sessions")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage("postgresql", tmp_path) as stage:
        await stage.create_agents("ann")
        await stage.database.real.define(lambda connection, _: _fill(connection))
        yield stage


def _fill(connection: Connection) -> None:
    rows = [
        {
            "id": (9 << 40) | number,
            "tenant": "other",
            "message_id": f"msg_{number:06}",
            "sent_at": number,
            "subject_words": "",
            "frequent_words": "",
            "words": " ".join(["common", f"word{number % 500}", *_rare_words(number)]),
        }
        for number in range(DOCUMENTS)
    ]
    connection.execute(insert(search_documents), rows)
    connection.exec_driver_sql("ANALYZE search_documents")


def _rare_words(number: int) -> list[str]:
    return [f"w{number + one}" for one in range(60)]


def statement(stage: ProjectionStage, search: str) -> Query:
    found: dict[str, Any] = {
        "mail": MailSearch(stage.log, stage.clock),
        "sessions": SessionSearch(stage.log, stage.clock),
    }
    query: Query = found[search]._queries.matches
    return query


def explained(query: Query) -> Query:
    made = copy(query)
    made.sql = f"EXPLAIN {query.sql}"
    made.row = tuple
    return made


VALUES: Mapping[str, Any] = {
    "postgres_words": "common & word7",
    "tenant": TENANT,
    "agent_id": "agent_1",
    "oldest": 0,
    "newest": 10 << 40,
}


async def plan_of(stage: ProjectionStage, search: str, *, by_index: bool) -> str:
    query = explained(statement(stage, search))

    async def rows(snapshot: Snapshot) -> Any:  # noqa: ANN401 - lines of a plan.
        if by_index:
            return await InvertedIndex(stage.database.real.dialect).rows(snapshot, query, VALUES)
        return await snapshot.rows(query, VALUES)

    async with open_snapshot(stage.log, stage.clock, TENANT) as snapshot:
        return "\n".join(line for (line,) in await rows(snapshot))


@pytest.mark.parametrize("search", SEARCHES)
async def test_search_reads_the_inverted_index(stage: ProjectionStage, search: str) -> None:
    assert INDEX in await plan_of(stage, search, by_index=True)


async def test_without_bitmap_scans_all_documents_are_read(stage: ProjectionStage) -> None:
    """Control test: the plan tells the difference."""
    assert INDEX not in await plan_of(stage, "mail", by_index=False)


async def search_for_a_word(stage: ProjectionStage, search: str) -> None:
    async with stage.log.write() as transaction:
        await SearchIndex(stage.log).add_tenants(transaction, [TENANT])
    if search == "mail":
        words = SearchFilter(words=["common"])
        await MailSearch(stage.log, stage.clock).search(TENANT, "agent_1", words, None, 1)
    else:
        filters = SessionSearchFilter(words=["common"], limit=1, per_session=1)
        await SessionSearch(stage.log, stage.clock).search(TENANT, Access(agent_id=None), filters)


@pytest.mark.parametrize("search", SEARCHES)
async def test_each_search_uses_bitmap_scans_for_its_matches_only(
    stage: ProjectionStage, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = Snapshot.rows

    async def rows(self: Snapshot, query: Query, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        asked.append(query.sql)
        return await original(self, query, values)

    monkeypatch.setattr(Snapshot, "rows", rows)
    monkeypatch.setattr(MailSearch, "_postgres_block", MailSearch._sqlite_block)
    await search_for_a_word(stage, search)

    at = asked.index(statement(stage, search).sql)
    assert "set_config" in asked[at - 1]
    assert "set_config" in asked[at + 1]
    assert sum("set_config" in sql for sql in asked) == 2
