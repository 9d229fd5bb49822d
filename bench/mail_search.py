"""Latency of searches in a mailbox with many messages, on SQLite and on PostgreSQL.

The messages and their documents in the search index are written in bulk, by the functions of the
service. Words are as frequent as in natural text: the second word occurs half as often as the
first, and so on. Searches go over HTTP, one after the other, each kind in turn.
"""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import httpx2
from sqlalchemy import insert

from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.mailboxes import (
    FIRST_SEQUENCE,
    WrittenMessage,
    make_message,
    write_messages,
)
from quorate.bench.postgres import NotInstalled, PostgresServer
from quorate.bench.processes import quorate
from quorate.bench.report import Row
from quorate.eventlog.database import Database
from quorate.eventlog.database_url import create_database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import search_documents
from quorate.eventlog.transactions import Query
from quorate.projections.search_index import (
    SearchIndex,
    SearchTenant,
    UnindexedMessage,
    make_document,
)

MESSAGES = 100_000
MESSAGES_PER_TRANSACTION = 2_000
DIFFERENT_TEXTS = 5_000
WORDS_PER_TEXT = 120  # About 1 KiB.
VOCABULARY = 20_000
# The written messages are newer than the last event, where a search without a cursor begins.
NEWEST = str(FIRST_SEQUENCE + MESSAGES)
SEARCHES = 60  # Of each kind.
WARM_UP_SEARCHES = 3
PAGE_LENGTH = 20
P99 = 0.99
# The numbers of words; word 0 is the most frequent one.
QUERIES: Mapping[str, Sequence[int]] = {
    "a frequent word": (1,),
    "a rare word": (9_000,),
    "two frequent words": (0, 2),
    "a frequent and a rare word": (3, 4_000),
    "two rare words": (5_000, 6_000),
    "no match": (VOCABULARY + 1,),
}


async def mail_search(folder: Path, _seconds: float) -> list[Row]:
    rows = await _measure_on("SQLite", folder, None)
    try:
        server = PostgresServer()
    except NotInstalled as missing:
        return [*rows, Row(name=_name("PostgreSQL"), unit="ms", value=None, note=str(missing))]
    own = folder / "postgresql"
    own.mkdir()
    try:
        server.start()
        return [*rows, *await _measure_on("PostgreSQL", own, server.database_url())]
    finally:
        server.remove()


def _name(database: str) -> str:
    return f"search among {MESSAGES:,} messages on {database}"


async def _measure_on(name: str, folder: Path, url: str | None) -> list[Row]:
    options = () if url is None else ("--database-url", url)
    async with quorate(folder, *options) as service:
        (holder,) = await key_holders(service, 1)
    database = create_database(url or f"sqlite:///{folder / 'data' / 'quorate.db'}")
    await _fill(database, holder)
    async with quorate(folder, *options) as service, client(service, holder.key) as http:
        delays = await _measure(http)
    every = sorted(delay for some in delays.values() for delay in some)
    slowest = max(delays, key=lambda kind: statistics.median(delays[kind]))
    note = f"{len(every)} searches of {len(delays)} kinds one by one; slowest: {slowest}"
    p99 = every[int(len(every) * P99)]
    return [
        Row(name=f"{_name(name)}, p50", unit="ms", value=statistics.median(every), note=note),
        Row(name=f"{_name(name)}, p99", unit="ms", value=p99, note="aim: at most 50 ms"),
    ]


async def _measure(http: httpx2.AsyncClient) -> dict[str, list[float]]:
    delays: dict[str, list[float]] = {kind: [] for kind in QUERIES}
    for number in range(WARM_UP_SEARCHES + SEARCHES):
        for kind, words in QUERIES.items():
            shifted = [word + number if word >= DIFFERENT_TEXTS // 2 else word for word in words]
            words_of_query = " ".join(map(_word, shifted))
            query = {"q": words_of_query, "limit": str(PAGE_LENGTH), "cursor": NEWEST}
            started_at = time.perf_counter()
            response = await http.get("/email/search", params=query)
            elapsed = time.perf_counter() - started_at
            response.raise_for_status()
            found = response.json()["total"]
            assert (found == PAGE_LENGTH) or "frequent" not in kind or "rare" in kind, kind
            if number >= WARM_UP_SEARCHES:
                delays[kind].append(1_000 * elapsed)
    return delays


# -- Rows ----------------------------------------------------------------------


def _word(number: int) -> str:
    """Return a different word for each number, of about seven letters."""
    letters = []
    for _ in range(4):
        number, rest = divmod(number, 20)
        letters += ["bcdfghjklmnpqrstvwxz"[rest], "aeiou"[rest % 5]]
    return "".join(letters)


def _texts() -> list[bytes]:
    choose = random.Random(1)
    words = [_word(number) for number in range(VOCABULARY)]
    weights = [*accumulate(1 / (number + 1) for number in range(VOCABULARY))]
    return [
        " ".join(choose.choices(words, cum_weights=weights, k=WORDS_PER_TEXT)).encode()
        for _ in range(DIFFERENT_TEXTS)
    ]


async def _fill(database: Database, holder: KeyHolder) -> None:
    tenant = holder.principal.tenant
    texts = _texts()
    await database.open()
    index = SearchIndex(EventStore(database))
    async with database.write() as transaction:
        await index.add_tenants(transaction, [tenant])
    its = (await index.tenants())[tenant]
    insertion = Query(insert(search_documents), database.dialect)
    for start in range(0, MESSAGES, MESSAGES_PER_TRANSACTION):
        messages = [
            make_message(holder, number, f"Offer {number % 977}", texts[number % len(texts)])
            for number in range(start, min(start + MESSAGES_PER_TRANSACTION, MESSAGES))
        ]
        async with database.write() as transaction:
            await write_messages(database, transaction, holder, messages)
            await transaction.write(insertion, [_document(its, tenant, one) for one in messages])
    if database.dialect.name == "postgresql":  # As its autovacuum does within a minute.
        await database.define(lambda connection, _: connection.exec_driver_sql("ANALYZE"))
    await database.close()


def _document(its: SearchTenant, tenant: str, written: WrittenMessage) -> Sequence[object]:
    found = UnindexedMessage(
        tenant=tenant,
        message_id=written.message.id,
        message=written.message,
        agent_ids=(written.entry.agent_id,),
        text=written.body.decode(),
    )
    return make_document(its, found)
