"""A thread with a thousand replies is read in pages, in its order, on every database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quorate.domain.mail.messages import Message
from quorate.domain.shared.records import changed
from quorate.projections.mail.queries import InboxFilter, MailReader, MailRows, Range
from quorate.projections.snapshots import QueryResult
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.unit.support.sample_commands import id_of
from tests.unit.support.sample_mail_commands import send

REPLIES = 1_000
PAGE_LENGTH = 100
BYTES_MAX = 1_000_000
THREAD = "thr_0000"
READERS = ("ann", "bob")

ReadPage = Callable[[Range], Awaitable[QueryResult[MailRows]]]


async def read_all(read_page: ReadPage) -> list[Message]:
    """Read all pages, the oldest message first; no page is longer than PAGE_LENGTH."""
    found: list[Message] = []
    while True:
        after = found[-1].sequence if found else 0
        page = (await read_page(Range(after=after, order="asc"))).found
        assert 0 < len(page.rows) <= PAGE_LENGTH
        found += [row.message for row in page.rows]
        if not page.has_more:
            return found


@pytest.mark.parametrize("database", DATABASES)
async def test_thread_with_a_thousand_replies_is_read_in_pages(
    tmp_path: Path, database: str
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents(*READERS)
        await stage.execute(send("ann", "bob", message="msg_0000"))
        # Each agent answers the first message; those of both arrive in many batches.
        replies = [
            changed(
                send(READERS[n % 2], READERS[1 - n % 2], message=f"msg_{n:04}"),
                in_reply_to="msg_0000",
            )
            for n in range(1, REPLIES + 1)
        ]
        for start in range(0, REPLIES, PAGE_LENGTH):
            some = replies[start : start + PAGE_LENGTH]
            await asyncio.gather(*(stage.start(one) for one in some))
        reader = MailReader(stage.log, stage.clock)

        thread = await read_all(
            lambda within: reader.thread_messages(
                TENANT, THREAD, id_of("bob"), within, PAGE_LENGTH, BYTES_MAX
            )
        )
        in_inbox = await read_all(
            lambda within: reader.inbox(
                TENANT, id_of("bob"), InboxFilter(thread_id=THREAD), within, PAGE_LENGTH, BYTES_MAX
            )
        )

    sequences = [one.sequence for one in thread]
    assert sequences == sorted(set(sequences))
    assert [one.id for one in thread[:2]] == ["msg_0000", "msg_0001"]
    assert {one.id for one in thread} == {f"msg_{n:04}" for n in range(REPLIES + 1)}
    assert in_inbox == [one for one in thread if one.sender_id == id_of("ann")]
