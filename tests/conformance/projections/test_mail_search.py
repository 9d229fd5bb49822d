"""Search finds what a mailbox has, and nothing else, on every database."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.mailbox import DeleteMessage
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import MailSettings
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import changed
from quorate.domain.shared.search_words import query_words
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.mail import search as mail_search
from quorate.projections.mail.search import MailSearch, Matches, Place, SearchFilter
from quorate.projections.rebuild import check, rebuild
from quorate.projections.search_index import SearchIndex
from quorate.server.search_indexer import SearchIndexer
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import TENANT_KEY, id_of

DOMAIN = "acme.test"
SETTINGS = MailSettings(domain=DOMAIN)


class SearchStage:
    """Agents ann, bob and cid of two tenants, and what they send."""

    def __init__(self, stage: ProjectionStage) -> None:
        self.stage = stage
        self.search = MailSearch(stage.log, stage.clock)
        self.indexer = SearchIndexer(stage.command_bus, SearchIndex(stage.log))
        self._sent = 0

    async def send(
        self,
        text: str,
        *,
        subject: str = "",
        by: str = "ann",
        to: Sequence[str] = ("bob",),
        html: str | None = None,
        tenant: str = TENANT,
        days: float = 0,
    ) -> str:
        """Return the id of the message."""
        self._sent += 1
        id_ = f"msg_{self._sent:04}"
        parts = {"text": text} if html is None else {"text": text, "html": html}
        body = tuple(
            Content(id=id_, part=part, salt=b"s" * 16, data=data.encode())
            for part, data in parts.items()
        )
        command = SendMessage(
            caller=changed(TENANT_KEY, tenant=tenant),
            agent=AgentRef(name=by),
            recipients=parse_recipients(
                [f"{name}@{DOMAIN}" for name in to], [], DOMAIN, lambda text: text
            ),
            subject=subject,
            body=body,
            settings=changed(SETTINGS, retention_days=days),
            new_message_id=id_,
            new_thread_id=f"thr_{self._sent:04}",
        )
        await self.stage.execute(command, tenant=tenant)
        return id_

    async def index(self) -> None:
        while await self.indexer.index_some():
            pass

    async def find(
        self,
        query: str,
        agent: str = "bob",
        *,
        tenant: str = TENANT,
        place: Place | None = None,
        limit: int = 100,
        **more: object,
    ) -> Matches:
        filters = SearchFilter(words=query_words(query), **more)  # type: ignore[arg-type]
        result = await self.search.search(tenant, id_of(agent), filters, place, limit)
        return result.found

    async def ids(self, query: str, agent: str = "bob", **more: object) -> list[str]:
        found = await self.find(query, agent, **more)  # type: ignore[arg-type]
        return [one.message_id for one in found.matches]

    async def delete(self, message_id: str, agent: str) -> None:
        key = Principal(
            key_id="key", role="agent", tenant=TENANT, agent_id=id_of(agent), agent_name=agent
        )
        command = DeleteMessage(caller=key, agent_id=id_of(agent), message_id=message_id)
        await self.stage.execute(command)


@pytest.fixture(params=DATABASES)
async def mail(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid")
        await stage.create_agents("ann", "bob", tenant=OTHER_TENANT)
        yield SearchStage(stage)


# -- Matches -------------------------------------------------------------------


async def test_message_is_found_by_all_words_of_its_subject_and_text(mail: SearchStage) -> None:
    first = await mail.send("The café opens", subject="News from Paris")
    await mail.send("The bar opens", subject="News from Rome")
    await mail.index()

    assert await mail.ids("PARIS cafe") == [first]
    assert await mail.ids("paris bar") == []
    assert len(await mail.ids("news opens")) == 2
    assert await mail.ids("open") == []
    assert await mail.ids("...") == []


async def test_message_with_only_html_is_found_by_its_text(mail: SearchStage) -> None:
    found = await mail.send("", html="<p class='hidden'>Hello <b>there</b></p>")
    await mail.index()

    assert await mail.ids("hello there") == [found]
    assert await mail.ids("hidden") == []


async def test_search_has_received_and_sent_messages_of_one_mailbox(mail: SearchStage) -> None:
    to_bob = await mail.send("plan one")
    to_cid = await mail.send("plan two", to=("cid",))
    by_bob = await mail.send("plan three", by="bob", to=("cid", "bob"))
    other = await mail.send("plan four", tenant=OTHER_TENANT)
    await mail.index()

    assert await mail.ids("plan", "bob") == [by_bob, to_bob]
    assert await mail.ids("plan", "ann") == [to_cid, to_bob]
    assert await mail.ids("plan", "cid") == [by_bob, to_cid]
    assert await mail.ids("plan", "bob", tenant=OTHER_TENANT) == [other]
    assert await mail.ids("plan", "nobody") == []


async def test_deleted_messages_are_not_found_in_that_mailbox(mail: SearchStage) -> None:
    first = await mail.send("plan one")
    second = await mail.send("plan two")
    await mail.index()

    await mail.delete(first, "bob")
    await mail.delete(second, "ann")

    assert await mail.ids("plan", "bob") == [second]
    assert await mail.ids("plan", "ann") == [first]


async def test_filters_select_sender_recipient_kind_and_time(mail: SearchStage) -> None:
    start = mail.stage.clock.now
    task = await mail.send("plan", subject="TASK:t1")
    mail.stage.clock.move(minutes=1)
    by_cid = await mail.send("plan", by="cid", to=("bob", "ann"))
    mail.stage.clock.move(minutes=1)
    last = await mail.send("plan")
    await mail.index()
    between = Timestamp(start + 60_000)

    assert await mail.ids("plan", kind="TASK") == [task]
    assert await mail.ids("plan", from_address=f"CID@{DOMAIN}") == [by_cid]
    assert await mail.ids("plan", to_address=f"ann@{DOMAIN}") == [by_cid]
    assert await mail.ids("plan", after=between) == [last, by_cid]
    assert await mail.ids("plan", before=between) == [task]
    assert await mail.ids("plan", after=between, before=Timestamp(between + 1)) == [by_cid]


# -- Rank and pages ------------------------------------------------------------


async def test_best_match_is_first_and_then_the_newest(mail: SearchStage) -> None:
    in_subject = await mail.send("nothing", subject="the plan")
    frequent = await mail.send("plan plan plan")
    once = await mail.send("plan")
    again = await mail.send("plan")
    await mail.index()

    assert await mail.ids("plan") == [in_subject, frequent, again, once]


async def test_messages_of_others_have_no_effect_on_the_rank(mail: SearchStage) -> None:
    """Statistics of the whole index would make a word that others use often count less."""
    await mail.send("alpha", subject="beta")
    await mail.send("beta", subject="alpha")
    await mail.index()
    before = await mail.ids("alpha beta")

    for _ in range(20):
        await mail.send("alpha " * 5, to=("cid",))
        await mail.send("alpha", tenant=OTHER_TENANT)
    await mail.index()

    assert await mail.ids("alpha beta") == before


@pytest.mark.parametrize("blocks", [1, 10])
async def test_pages_contain_each_match_once(
    mail: SearchStage, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """Messages that arrive between two pages are not in them."""
    sent = [await mail.send("plan " * (number % 4), subject="plan") for number in range(25)]
    await mail.send("plan", to=("cid",))
    await mail.index()
    monkeypatch.setattr(mail_search, "BLOCKS_MAX", blocks)
    found: list[str] = []
    place: Place | None = None

    for _ in range(100):
        page = await mail.find("plan", place=place, limit=4)
        found += [one.message_id for one in page.matches]
        assert len(page.matches) <= 4
        await mail.send("plan", subject="plan plan")
        await mail.index()
        place = page.following
        if place is None:
            break

    assert sorted(found) == sorted(sent)
    assert len(found) == len(sent)


# -- The index -----------------------------------------------------------------


async def test_message_that_is_indexed_twice_at_once_is_in_the_index_once(
    mail: SearchStage,
) -> None:
    """For a short time there may be two leaders."""
    await mail.send("plan")
    index = SearchIndex(mail.stage.log)
    found = await index.read_unindexed()
    await mail.index()

    keys = [(one.tenant, one.message_id) for one in found]
    documents = [(1, TENANT, found[0].message_id, 0, "", "", "")]
    await mail.stage.command_bus.run_chore(
        lambda transaction: index.add(transaction, keys, documents)
    )

    assert len(await mail.ids("plan")) == 1


async def test_index_continues_after_a_restart(mail: SearchStage) -> None:
    first = await mail.send("plan one")
    await mail.index()
    second = await mail.send("plan two")
    await mail.stage.restart()

    again = SearchStage(mail.stage)
    await again.index()

    assert await again.ids("plan") == [second, first]


async def test_rebuild_indexes_all_messages_again(mail: SearchStage, tmp_path: Path) -> None:
    kept, erased = await mail.send("plan one"), await mail.send("plan two")
    await mail.index()
    await mail.stage.execute(EraseMessage(caller=TENANT_KEY, message_id=erased))
    scratch = SqliteDatabase(tmp_path / "scratch.db")
    await scratch.open()
    assert (await check(mail.stage.database, scratch)).differences.count == 0
    await scratch.close()

    await rebuild(mail.stage.database)

    assert await mail.ids("plan") == []
    await mail.index()
    assert await mail.ids("plan") == [kept]


# -- Erasure -------------------------------------------------------------------


async def test_erased_message_is_not_found(mail: SearchStage) -> None:
    """The body is erased by request, by its age, and before it was indexed."""
    requested = await mail.send("plan one")
    await mail.send("plan two", days=1)
    await mail.index()
    unindexed = await mail.send("plan three")
    pending = await SearchIndex(mail.stage.log).read_unindexed()

    for message_id in (requested, unindexed):
        await mail.stage.execute(EraseMessage(caller=TENANT_KEY, message_id=message_id))
    mail.stage.clock.move(hours=25)
    await mail.stage.record_due()
    await mail.indexer.add(pending)
    await mail.index()

    assert await mail.ids("plan") == []


async def test_erased_words_are_not_in_the_file(tmp_path: Path) -> None:
    async with open_stage("sqlite", tmp_path) as stage:
        await stage.create_agents("ann", "bob")
        mail = SearchStage(stage)
        await mail.send("the quick fox")
        message_id = await mail.send("xylophonic plan")
        await mail.index()
        assert await mail.ids("xylophonic") == [message_id]
        with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
            index = connection.execute(
                "SELECT group_concat(words) FROM search_documents"
            ).fetchone()
        assert "xylo" not in index[0].lower()
        await stage.execute(EraseMessage(caller=TENANT_KEY, message_id=message_id))

    with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
        connection.execute("INSERT INTO search_index(search_index) VALUES ('integrity-check')")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
    assert not any(b"xylophonic" in content.lower() for content in files)


# -- Queries of callers --------------------------------------------------------


async def test_no_query_is_an_error_or_has_operators(mail: SearchStage) -> None:
    await mail.send("alpha beta", subject='"NEAR" a-b OR c:d')
    await mail.index()

    for query in (
        '"',
        "alpha*",
        "-alpha",
        "NEAR(alpha beta)",
        "subject:alpha",
        "a & !b | (c",
        "\0",
    ):
        await mail.ids(query)
    assert len(await mail.ids('"alpha')) == 1
    assert await mail.ids("alp*") == []
    assert await mail.ids("alpha OR gamma") == []
    assert len(await mail.ids("alpha -beta")) == 1


@pytest.mark.parametrize("database", DATABASES)
async def test_any_query_is_accepted_and_finds_its_own_text(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents("ann", "bob")
        mail = SearchStage(stage)

        async def try_query(query: str) -> None:
            message_id = await mail.send(query)
            await mail.index()
            assert (message_id in await mail.ids(query)) == bool(query_words(query))

        queries: list[str] = []

        @settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
        def collect(query: str) -> None:
            queries.append(query)

        collect()
        for query in queries:
            await try_query(query)
