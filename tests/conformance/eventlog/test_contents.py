"""Contents are stored and erased in the transaction of their command's events, or not at all."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from quorate.domain.coordination.leases import LeaseExpired
from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import Content
from quorate.eventlog.archive import content_pages
from quorate.eventlog.archive.content_pages import ContentPages
from quorate.eventlog.contents import ContentReader, ContentStore
from quorate.eventlog.envelopes import Accepted, CommandFailed, Rejected, Unavailable
from quorate.eventlog.tables import answers, unindexed_messages
from quorate.eventlog.transactions import Query
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, Key, Stage
from tests.unit.support.sample_commands import KIM, LEE, acquire, key_of, register, release
from tests.unit.support.sample_contents import ERASES, ID, content, with_contents

SECRET = b"nobody but the recipient reads this"
OTHER_ID = LEE.key


async def stored(stage: Stage, tenant: str = TENANT) -> dict[tuple[str, str], Content]:
    async with stage.log.read() as transaction:
        pages = ContentPages(stage.database).pages(transaction)
        return {
            (one.id, one.part): one
            async for page in pages
            for of_tenant, one in page
            if of_tenant == tenant
        }


def fails_to_render(_outcome: object) -> bytes:
    raise RuntimeError


async def test_contents_of_an_accepted_command_are_read_by_id_and_part(stage: Stage) -> None:
    await stage.create_agents("ann")
    text, image = content(), content("attachment-0", bytes(range(256)), salt=2)

    await stage.execute(with_contents(acquire("ann"), text, image))

    async with stage.log.read() as transaction:
        store = ContentStore(stage.database)
        assert await store.read(transaction, TENANT, [ID, "none"]) == {
            (ID, "text"): text,
            (ID, "attachment-0"): image,
        }
        assert await store.read(transaction, TENANT, [ID], ["text", "html"]) == {(ID, "text"): text}
        assert await store.read(transaction, TENANT, []) == {}
        assert await store.read(transaction, OTHER_TENANT, [ID]) == {}
    reader = ContentReader(stage.log)
    assert await reader.texts(TENANT, [ID]) == {(ID, "text"): "hello"}
    assert await reader.one(TENANT, ID, "attachment-0") == image
    assert await reader.one(TENANT, ID, "attachment-1") is None


async def test_contents_of_rejected_crashing_and_repeated_commands_are_not_stored(
    stage: Stage,
) -> None:
    await stage.create_agents("ann", "bob")
    first = with_contents(acquire("ann"), content())
    again = with_contents(acquire("ann", lease="other"), content(data=b"again"))
    unrendered = with_contents(acquire("bob", LEE), content(id_=OTHER_ID))
    pending = [
        stage.start(first, key=Key(key="k")),
        stage.start(again, key=Key(key="k")),
        stage.start(with_contents(acquire("bob", lease="lost"), content("html"))),
        stage.start(unrendered, render=fails_to_render),
        stage.start(with_contents(acquire("bob", LEE), content(id_="of no event"))),
        stage.start(register("cid")),
    ]
    results = await asyncio.gather(*pending, return_exceptions=True)

    assert [type(one) for one in results] == [
        *(Accepted, Accepted, Rejected),
        *(CommandFailed, CommandFailed, Accepted),
    ]
    assert await stored(stage) == {(ID, "text"): content()}


async def test_repetition_in_a_later_transaction_stores_nothing(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(with_contents(acquire("ann"), content()), key=Key(key="k"))

    repeated = with_contents(acquire("ann"), content(data=b"again"))
    result = await stage.submit(repeated, key=Key(key="k"))

    assert isinstance(result, Accepted)
    assert result.replayed
    assert await stored(stage) == {(ID, "text"): content()}


async def test_contents_that_exist_already_are_rejected_and_kept(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = with_contents(acquire("ann"), content())
    await stage.execute(first, release("new-lease", by=key_of("ann")))
    events = len(await stage.events())

    with pytest.raises(CommandFailed):
        await stage.submit(with_contents(acquire("ann", lease="second"), content(data=b"new")))

    assert await stored(stage) == {(ID, "text"): content()}
    assert len(await stage.events()) == events


async def test_erasing_event_deletes_all_contents_of_its_id(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEMA.erases, *ERASES)
    await stage.create_agents("ann")
    await stage.create_agents("ann", tenant=OTHER_TENANT)
    mine = with_contents(acquire("ann"), content(), content("html"))
    others = with_contents(acquire("ann", LEE, lease="lee"), content(id_=OTHER_ID))
    await stage.execute(mine, others)
    await stage.execute(mine, tenant=OTHER_TENANT)

    await stage.execute(release("new-lease", by=key_of("ann")))

    assert await stored(stage) == {(OTHER_ID, "text"): content(id_=OTHER_ID)}
    assert len(await stored(stage, OTHER_TENANT)) == 2


async def test_contents_are_erased_when_they_are_written_and_erased_in_one_batch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEMA.erases, *ERASES)
    await stage.create_agents("ann")
    commits = stage.database.commits
    await asyncio.gather(
        stage.start(with_contents(acquire("ann"))),
        stage.start(release("new-lease", by=key_of("ann"))),
    )

    assert stage.database.commits == commits + 1
    assert await stored(stage) == {}


async def test_overdue_event_erases_contents_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEMA.erases, LeaseExpired, ERASES[1])
    await stage.create_agents("ann", "bob")
    await stage.execute(with_contents(acquire("ann", minutes=1)))
    stage.clock.move(minutes=2)

    await stage.execute(acquire("bob", KIM, lease="next"))

    assert await stored(stage) == {}


@pytest.mark.parametrize("is_committed", [True, False])
async def test_events_and_contents_are_committed_together(
    stage: Stage, *, is_committed: bool
) -> None:
    """The process or the database may die before or after the commit, never between the two."""
    await stage.create_agents("ann")
    events = len(await stage.events())
    if is_committed:
        stage.database.fail_after_commit = 1
    else:
        stage.database.fail_before_commit = 1

    with pytest.raises(Unavailable):
        await stage.submit(with_contents(acquire("ann")))

    assert len(await stage.events()) - events == is_committed
    assert len(await stored(stage)) == is_committed


@pytest.mark.parametrize("is_searched", [True, False])
async def test_content_is_marked_for_the_index_if_it_is_searched(
    stage: Stage, *, is_searched: bool
) -> None:
    await stage.create_agents("ann")
    given = replace(content(), is_searched=is_searched)
    await stage.execute(with_contents(acquire("ann"), given))

    async with stage.log.read() as transaction:
        query = Query(select(unindexed_messages), stage.database.dialect)
        marked = await transaction.fetch(query, {})
    assert len(marked) == is_searched


async def test_responses_and_log_messages_contain_no_contents(
    stage: Stage, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann", "bob")
    secret = with_contents(acquire("ann"), content(data=SECRET))
    lost = with_contents(acquire("bob", LEE), content(data=SECRET, id_=OTHER_ID))
    await stage.submit(secret, key=Key(key="k"))
    with pytest.raises(CommandFailed):
        await stage.submit(lost, render=fails_to_render)

    async with stage.log.read() as transaction:
        rows = await transaction.fetch(Query(select(answers), stage.database.dialect), {})
    assert len(rows) == 1
    assert SECRET.decode() not in str(rows)
    assert SECRET not in b"".join(event.data for event in await stage.events())
    assert logged
    assert SECRET.decode() not in str(logged)
    assert SECRET.decode() not in repr(secret)


async def test_pages_contain_each_content_once_in_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_pages, "KEYS_PER_PAGE", 3)
    monkeypatch.setattr(content_pages, "PAGE_BYTES_MAX", 10)
    sizes = [1, 2, 3, 4, 11, 1, 10, 0]
    given = [content(f"part-{number}", b"x" * size) for number, size in enumerate(sizes)]
    async with stage.database.write() as transaction:
        store = ContentStore(stage.database)
        await store.save(transaction, [(TENANT, one) for one in reversed(given)])

    async with stage.log.read() as transaction:
        pages = ContentPages(stage.database)
        assert await pages.count(transaction) == len(given)
        found = [page async for page in pages.pages(transaction)]

    assert [one for page in found for _, one in page] == given
    assert [len(page) for page in found] == [3, 1, 1, 1, 2]
