"""Contents that many responses need at once are read together, and each gets its own."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.eventlog.contents import GATHERED_IDS_MAX, ContentReader, ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import unindexed_messages
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, Stage, Statement


def content(id_: str, data: bytes, *, is_searched: bool = True) -> Content:
    salt = bytes(SALT_BYTES)
    return Content(id=id_, part="text", salt=salt, data=data, is_searched=is_searched)


async def save(stage: Stage, *contents: tuple[str, Content]) -> None:
    async def work(transaction: DatabaseTransaction) -> None:
        await ContentStore(stage.database).save(transaction, contents)

    await stage.command_bus.run_chore(work)


class CountingLog(EventStore):
    """Counts the read transactions; the first ``failing`` of them fail."""

    def __init__(self, stage: Stage, failing: int = 0) -> None:
        self.database = stage.database
        self.transactions = 0
        self._failing = failing

    def read(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        self.transactions += 1
        if self.transactions <= self._failing:
            raise DatabaseUnavailable("down")
        return super().read()


async def test_calls_of_one_turn_share_a_transaction_and_get_their_own(stage: Stage) -> None:
    await save(stage, (TENANT, content("one", b"1")), (OTHER_TENANT, content("one", b"2")))
    await save(stage, (TENANT, content("two", b"3")))
    log = CountingLog(stage)
    reader = ContentReader(log)

    found = await asyncio.gather(
        *(reader.of(TENANT, "one"), reader.of(OTHER_TENANT, "one"), reader.of(TENANT, "two")),
        *(reader.of(OTHER_TENANT, "two"), reader.of(TENANT, "one")),
    )

    assert [{key: one.data for key, one in contents.items()} for contents in found] == [
        *({("one", "text"): b"1"}, {("one", "text"): b"2"}, {("two", "text"): b"3"}),
        *({}, {("one", "text"): b"1"}),
    ]
    assert log.transactions == 1


async def test_later_call_reads_what_was_committed_meanwhile(stage: Stage) -> None:
    log = CountingLog(stage)
    reader = ContentReader(log)
    assert await reader.of(TENANT, "one") == {}

    await save(stage, (TENANT, content("one", b"1")))

    assert [one.data for one in (await reader.of(TENANT, "one")).values()] == [b"1"]
    assert log.transactions == 2


async def test_transaction_reads_a_limited_number_of_ids(stage: Stage) -> None:
    ids = [f"id-{number}" for number in range(GATHERED_IDS_MAX + 1)]
    await save(stage, *((TENANT, content(id_, id_.encode())) for id_ in ids))
    log = CountingLog(stage)
    reader = ContentReader(log)

    found = await asyncio.gather(*(reader.of(TENANT, id_) for id_ in ids))

    assert [one[id_, "text"].data.decode() for one, id_ in zip(found, ids, strict=True)] == ids
    assert log.transactions == 2


async def test_call_that_is_cancelled_does_not_end_the_others(stage: Stage) -> None:
    await save(stage, (TENANT, content("one", b"1")))
    reader = ContentReader(CountingLog(stage))
    cancelled, other = (asyncio.create_task(reader.of(TENANT, "one")) for _ in range(2))
    await asyncio.sleep(0)

    cancelled.cancel()

    assert [one.data for one in (await other).values()] == [b"1"]
    assert cancelled.cancelled()


async def test_failed_read_fails_its_calls_only(stage: Stage) -> None:
    reader = ContentReader(CountingLog(stage, failing=1))

    results = await asyncio.gather(
        *(reader.of(TENANT, "one"), reader.of(TENANT, "two")), return_exceptions=True
    )

    assert [type(one) for one in results] == [DatabaseUnavailable] * 2
    assert await reader.of(TENANT, "one") == {}


@pytest.mark.parametrize("is_searched", [True, False])
async def test_content_is_marked_for_the_index_if_it_is_searched(
    stage: Stage, *, is_searched: bool
) -> None:
    await save(stage, (TENANT, content("one", b"1", is_searched=is_searched)))

    async with stage.log.read() as transaction:
        sql = f"SELECT message_id FROM {unindexed_messages.name}"  # noqa: S608 - a constant.
        marked = await transaction.fetch(Statement(sql), {})
    assert len(marked) == is_searched
