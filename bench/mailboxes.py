"""Latency of one page of a small and of a large mailbox.

Both mailboxes are in one service and are read in turn. Their rows are written in bulk: a million
messages that are sent would take most of an hour.
"""

import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import insert

from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.processes import quorate
from quorate.bench.report import Row
from quorate.domain.mail.mailbox_entries import MailEntry, entry_id
from quorate.domain.mail.messages import TEXT_PART, Message, RecipientState
from quorate.domain.shared.contents import SALT_BYTES, ContentRef
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.tables import message_bodies
from quorate.eventlog.transactions import DatabaseTransaction, Query
from quorate.projections.mail.mailboxes import MAIL_ENTRIES
from quorate.projections.mail.messages import MESSAGES

SMALL = 1_000
LARGE = 50_000
LARGEST = 1_000_000
ROWS_PER_TRANSACTION = 10_000
PAGES = 200
WARM_UP_PAGES = 20
PAGE_LENGTH = 20
BODY = b"The offer was sent, and the customer asked for a call on Monday. " * 4
FIRST_SEQUENCE = 1_000_000  # After all events of the set-up.


@record
class WrittenMessage:
    message: Message
    entry: MailEntry
    body: bytes

    def rows(self, tenant: str) -> tuple[tuple[Any, ...], ...]:
        id_ = self.message.id
        return (
            MESSAGES.to_row(tenant, id_, self.message),
            MAIL_ENTRIES.to_row(tenant, self.entry.id, self.entry),
            (tenant, id_, TEXT_PART, bytes(SALT_BYTES), self.body),
        )


async def inbox(folder: Path, _seconds: float) -> list[Row]:
    return await _compare(folder, LARGE)


async def large_inbox(folder: Path, _seconds: float) -> list[Row]:
    return await _compare(folder, LARGEST)


async def _compare(folder: Path, large: int) -> list[Row]:
    sizes = (SMALL, large)
    async with quorate(folder) as service:
        holders = await key_holders(service, len(sizes))
    await _fill(folder / "data" / "quorate.db", holders, sizes)
    async with quorate(folder) as service:
        readers = [client(service, holder.key) for holder in holders]
        try:
            newest = await _measure(readers, [""])
            cursors = [_random_cursors(size) for size in sizes]
            anywhere = await _measure(readers, *cursors)
        finally:
            for http in readers:
                await http.aclose()
    return [
        *_rows("newest page", sizes, newest),
        *_rows("page anywhere", sizes, anywhere),
    ]


def _rows(what: str, sizes: Sequence[int], delays: Sequence[Sequence[float]]) -> Iterator[Row]:
    medians = [statistics.median(some) for some in delays]
    for size, median in zip(sizes, medians, strict=True):
        note = f"median of {PAGES} pages of {PAGE_LENGTH}"
        yield Row(name=f"{what} of {size:,} messages", unit="ms", value=median, note=note)
    name = f"{what}: {sizes[1]:,} / {sizes[0]:,} messages (aim below 1.3)"
    yield Row(name=name, unit="ratio", value=medians[1] / medians[0])


async def _measure(
    readers: Sequence[httpx2.AsyncClient], *cursors: Sequence[str]
) -> list[list[float]]:
    """Read a page of each mailbox in turn; return the latencies of each in milliseconds."""
    turns = [itertools.cycle(some) for some in cursors]
    turns *= len(readers) // len(turns)
    delays: list[list[float]] = [[] for _ in readers]
    for number in range(WARM_UP_PAGES + PAGES):
        for http, turn, found in zip(readers, turns, delays, strict=True):
            cursor = next(turn)
            query = {"limit": str(PAGE_LENGTH)} | ({"cursor": cursor} if cursor else {})
            started_at = time.perf_counter()
            response = await http.get("/email/inbox", params=query)
            elapsed = time.perf_counter() - started_at
            assert response.json()["total"] == PAGE_LENGTH, response.text
            if number >= WARM_UP_PAGES:
                found.append(1_000 * elapsed)
    return delays


def _random_cursors(size: int) -> Sequence[str]:
    choose = random.Random(size)
    first, end = FIRST_SEQUENCE + PAGE_LENGTH, FIRST_SEQUENCE + size
    return [f"{end}.{choose.randrange(first, end)}" for _ in range(PAGES + WARM_UP_PAGES)]


# -- Rows ----------------------------------------------------------------------


async def _fill(path: Path, holders: Sequence[KeyHolder], sizes: Sequence[int]) -> None:
    database = SqliteDatabase(path)
    await database.open()
    for holder, size in zip(holders, sizes, strict=True):
        for start in range(0, size, ROWS_PER_TRANSACTION):
            numbers = range(start, min(start + ROWS_PER_TRANSACTION, size))
            async with database.write() as transaction:
                messages = [make_message(holder, number) for number in numbers]
                await write_messages(database, transaction, holder, messages)
    await database.close()


async def write_messages(
    database: Database,
    transaction: DatabaseTransaction,
    holder: KeyHolder,
    messages: Sequence[WrittenMessage],
) -> None:
    """Write messages into a mailbox, without events."""
    tenant = holder.principal.tenant
    rows = zip(*(one.rows(tenant) for one in messages), strict=True)
    tables = (MESSAGES.table, MAIL_ENTRIES.table, message_bodies)
    for table, some in zip(tables, rows, strict=True):
        await transaction.write(Query(insert(table), database.dialect), some)


def make_message(
    holder: KeyHolder, number: int, subject: str | None = None, body: bytes = BODY
) -> WrittenMessage:
    agent_id = holder.agent_id
    id_ = f"msg_{agent_id.removeprefix('agent_')}-{number}"
    at = Timestamp(round(time.time() * MILLISECONDS_PER_SECOND))
    to = f"{holder.principal.agent_name}@example.com"
    its_entry = entry_id(id_, agent_id)
    shared: dict[str, Any] = {
        "sequence": FIRST_SEQUENCE + number,
        "thread_id": f"thr_{number // 4}",
        "from_address": f"agent-{number % 50}@example.com",
        "subject": subject or f"TASK:{number} result",
        "sender_id": f"agent_{number % 50}",
        "kind": "TASK",
        "task_id": str(number),
    }
    message = Message(
        id=id_,
        created_at=at,
        to=(to,),
        cc=(),
        contents=(ContentRef(part=TEXT_PART, sha256="0" * 64, bytes=len(body)),),
        recipients=(
            RecipientState(address=to, delivery_type="internal", status="delivered", reason=None),
        ),
        **shared,
    )
    entry = MailEntry(
        id=its_entry,
        message_id=id_,
        agent_id=agent_id,
        address=to,
        delivered_at=at,
        bytes=len(body),
        **shared,
    )
    return WrittenMessage(message=message, entry=entry, body=body)
