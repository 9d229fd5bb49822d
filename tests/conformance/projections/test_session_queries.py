"""Lists, histories, values, search and erasure of sessions, on every database."""

from pathlib import Path
from typing import Any

import pytest

from quorate.domain.identity.agents import AgentRef, RegisterAgent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Access, Policy, SessionRule
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_commands import BranchSession, CreateSession, DeleteSession
from quorate.domain.sessions.session_sending import SendToSession
from quorate.domain.sessions.session_value_commands import SetSessionValue
from quorate.domain.sessions.sessions import Session, main_session_id
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.projections.search_index import SearchIndex
from quorate.projections.sessions.session_queries import (
    FoundSession,
    MessageRange,
    SessionPosition,
    SessionQueries,
)
from quorate.projections.sessions.session_search import SessionSearch, SessionSearchFilter
from quorate.projections.sessions.unerased_sessions import UnerasedSessions
from quorate.server.search_indexer import SearchIndexer
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage

TENANT = "acme"
CALLER = Principal(key_id="keytenant", role="tenant", tenant=TENANT)
ANN, BOB = "agent_ann", "agent_bob"
EVERYTHING = Access(agent_id=ANN)
PREFIX = Access(agent_id=ANN, policies=(Policy(sessions=SessionRule(key_prefix="agent:bob:")),))
KEYS = Access(
    agent_id=ANN,
    policies=(Policy(sessions=SessionRule(allowed_keys=("session:1", "session:2"))),),
)
OWN = Access(agent_id=ANN, policies=(Policy(sessions=SessionRule()),))


def by(name: str) -> dict[str, Any]:
    return {"caller": CALLER, "agent": AgentRef(name=name), "restrictions": Restrictions()}


def content(id_: str, text: str, part: str = "text") -> Content:
    return Content(id=id_, part=part, salt=b"s" * SALT_BYTES, data=text.encode())


async def fill(stage: ProjectionStage) -> None:
    """Two agents; Ann has 30 messages in a session and a branch of it; Bob has one."""
    for name in ("ann", "bob"):
        register = RegisterAgent(
            caller=CALLER, agent_name=name, agent_role="x", new_agent_id=f"agent_{name}"
        )
        await stage.submit(register)
    session: dict[str, Any] = {"key": "session:1", "new_session_id": "ses_1", "label": "Größe 100%"}
    await stage.submit(CreateSession(**by("ann"), **session))
    for number in range(30):
        body = content(f"m{number}", f"checkpoint number {number}")
        await stage.submit(SendToSession(**by("bob"), key="session:1", body=body))
    stage.clock.move(minutes=1)
    branch: dict[str, Any] = {
        "source_key": "session:1",
        "new_key": "session:2",
        "new_session_id": "ses_2",
    }
    await stage.submit(BranchSession(**by("ann"), **branch, label="b", fork_point=20))
    body = content("own", '{"a":"checkpoint"}', "json")
    await stage.submit(SendToSession(**by("ann"), key="session:2", body=body))
    stage.clock.move(minutes=1)
    body = content("other", "checkpoint of bob")
    await stage.submit(SendToSession(**by("ann"), key="agent:bob:main", body=body))
    place: dict[str, Any] = {"session_id": main_session_id(ANN), "namespace": "n", "name": "k"}
    await stage.submit(SetSessionValue(**by("ann"), **place, body=content("v1", "[1]", "json")))


def shown(found: FoundSession) -> Session:
    assert found.session is not None
    return found.session


@pytest.mark.parametrize("database", DATABASES)
async def test_queries_give_the_same_on_every_database(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        queries = SessionQueries(stage.log, stage.clock)

        async def keys(access: Access, filter_: str | None = None) -> list[str]:
            found = (await queries.page(TENANT, access, filter_, None, 10)).found
            return [one.key for one in found]

        mains = ["agent:ann:main", "agent:bob:main"]
        assert await keys(EVERYTHING) == [mains[0], mains[1], "session:2", "session:1"]
        assert await keys(PREFIX) == [mains[1]]
        assert await keys(KEYS) == ["session:2", "session:1"]
        assert await keys(OWN) == [mains[0], "session:2", "session:1"]
        assert await keys(EVERYTHING, "SSION:1") == ["session:1"]
        assert await keys(EVERYTHING, "100%") == ["session:1"]
        assert await keys(EVERYTHING, "_") == []
        (second,) = [
            one
            for one in (await queries.page(TENANT, OWN, None, None, 10)).found
            if one.key == "session:2"
        ]
        place = SessionPosition(
            updated_at=second.updated_at, created_at=second.created_at, key=second.key
        )
        after = (await queries.page(TENANT, OWN, None, place, 10)).found
        assert [one.key for one in after] == ["session:1"]

        within = MessageRange(start=17, end=21)
        page = await queries.history(TENANT, "session:2", shown, lambda _: within, 1_000_000)
        assert [one.message.id for one in page.found[1]] == ["m17", "m18", "m19", "own"]
        small = await queries.history(TENANT, "session:2", shown, lambda _: within, 1)
        assert [one.message.id for one in small.found[1]] == ["own"]
        value = await queries.value(TENANT, main_session_id(ANN), "n", "k")
        assert value.found == b"[1]"
        unknown = (await queries.find(TENANT, "agent:BOB:main")).found
        assert (unknown.session, unknown.owner_id) == (None, None)
        assert (await queries.find(TENANT, "agent:bob:x")).found.owner_id == BOB


@pytest.mark.parametrize("database", DATABASES)
async def test_search_restricts_before_it_counts(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        indexer = SearchIndexer(stage.command_bus, SearchIndex(stage.log))
        while await indexer.index_some():
            pass
        search = SessionSearch(stage.log, stage.clock)

        async def found(access: Access, **more: Any) -> list[tuple[str, int]]:  # noqa: ANN401
            filters = SessionSearchFilter(
                **{"words": ["checkpoint"], "limit": 5, "per_session": 1, **more}
            )
            hits = (await search.search(TENANT, access, filters)).found
            return [(one.session.key, one.message.index) for one in hits]

        bob = ("agent:bob:main", 0)
        assert await found(EVERYTHING) == [bob, ("session:2", 20), ("session:1", 29)]
        assert await found(KEYS, limit=1) == [("session:2", 20)]
        assert await found(PREFIX, limit=1) == [bob]
        assert await found(OWN, per_session=2) == [
            *(("session:2", 20), ("session:1", 29), ("session:1", 28))
        ]
        assert await found(OWN, words=["number", "7"]) == [("session:1", 7)]
        assert await found(OWN, words=["checkpoint", "absent"]) == []


@pytest.mark.parametrize("database", DATABASES)
async def test_deleted_session_is_erased_until_nothing_is_left(
    database: str, tmp_path: Path
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        await stage.submit(DeleteSession(**by("ann"), key="session:1", force=True))
        unerased = UnerasedSessions(stage.log)
        assert await unerased.find_orphaned() == []
        rounds = 0
        while left := await unerased.find_deleted():
            rounds += 1
            for one in left:
                await stage.submit(one.command, tenant=one.tenant)
        assert rounds == 2
        queries = SessionQueries(stage.log, stage.clock)
        within = MessageRange(start=19, end=21)
        page = await queries.history(TENANT, "session:2", shown, lambda _: within, 1_000_000)
        assert [one.content is None for one in page.found[1]] == [True, False]
