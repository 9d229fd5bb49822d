"""Store, read and erase contents, in the transaction of the events that refer to them.

* An event holds the salted hash of a content (``domain/shared/contents.py``).
* A content is written with the event that refers to it and deleted with the event that erases it,
  so neither exists without the other, on any database and after any crash.
* Stored responses and log messages contain no contents.
* A stored content that is searched is to be indexed; an erased one is removed from the index too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, select

from quorate.domain.shared.contents import Content, Contents
from quorate.eventlog.database import Database
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, CommandResult
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import message_bodies, search_documents, unindexed_messages
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery

TEXT_PARTS = ("text", "html")
# Of one part. A larger one is read after the commit: all other commands would wait for it.
HANDED_OUT_BYTES_MAX = 16 * 1024
BEGINNING_BYTES = 800
_columns = message_bodies.c

TenantContent: TypeAlias = tuple[str, Content]


class ContentStore:
    """The contents of all tenants in one database."""

    def __init__(self, database: Database) -> None:
        dialect = database.dialect
        self._insert = Query(insert(message_bodies), dialect)
        self._insert_unindexed = Query(insert(unindexed_messages), dialect)
        self._deletes = [
            Query(
                delete(table).where(
                    table.c.tenant == bindparam("tenant"), table.c.message_id == bindparam("id")
                ),
                dialect,
            )
            for table in (message_bodies, search_documents, unindexed_messages)
        ]
        # Not packed: as JSON a body would take twice its size.
        self._by_id = UnpackedQuery(_matching(database, "ids", 2), dialect)
        small = case((func.length(_columns.body) <= HANDED_OUT_BYTES_MAX, _columns.body))
        self._handed_out = UnpackedQuery(
            _matching(database, "ids", 2).with_only_columns(
                *(_columns.tenant, _columns.message_id, _columns.part, _columns.salt),
                small.label("body"),
            ),
            dialect,
        )
        by_part = _matching(database, "parts", 3)
        self._by_part = UnpackedQuery(by_part, dialect)
        beginning = func.substr(_columns.body, 1, BEGINNING_BYTES).label("beginning")
        beginnings = by_part.with_only_columns(_columns.message_id, _columns.part, beginning)
        self._beginnings = UnpackedQuery(beginnings, dialect)

    async def save(
        self, transaction: DatabaseTransaction, contents: Sequence[TenantContent]
    ) -> None:
        """Store new contents; the database rejects an id and part that exist."""
        if contents:
            rows = [(tenant, one.id, one.part, one.salt, one.data) for tenant, one in contents]
            await transaction.write(self._insert, rows)
            new = dict.fromkeys((tenant, one.id) for tenant, one in contents if one.is_searched)
            if new:
                await transaction.write(self._insert_unindexed, list(new))

    async def erase(self, transaction: DatabaseTransaction, ids: Iterable[tuple[str, str]]) -> None:
        """Delete all contents of these tenants and ids; those that do not exist are ignored."""
        if erased := [{"tenant": tenant, "id": id_} for tenant, id_ in dict.fromkeys(ids)]:
            for query in self._deletes:
                await transaction.write(query, [query.bind(one) for one in erased])

    async def read(
        self,
        transaction: DatabaseTransaction,
        tenant: str,
        ids: Iterable[str],
        parts: Sequence[str] = (),
    ) -> Contents:
        """Return the contents of these ids, or only these parts of them; erased ones are absent."""
        query, name = (self._by_part, "parts") if parts else (self._by_id, "ids")
        rows = list(product((tenant,), ids, *([parts] if parts else [])))
        values = {name: orjson.dumps(rows).decode()}
        found = await transaction.fetch(query, values) if rows else ()
        return {(row.message_id, row.part): content_from_row(row) for row in found}

    async def read_beginnings(
        self, transaction: DatabaseTransaction, tenant: str, keys: Iterable[tuple[str, str]]
    ) -> Mapping[tuple[str, str], str]:
        """Return the beginning of each text, by id and part; erased ones are absent.

        A page of large texts takes as long as one of small texts.
        """
        rows = [(tenant, *key) for key in keys]
        values = {"parts": orjson.dumps(rows).decode()}
        found = await transaction.fetch(self._beginnings, values) if rows else ()
        # The last character may be cut.
        return {
            (row.message_id, row.part): bytes(row.beginning).decode(errors="ignore")
            for row in found
        }

    async def hand_out(
        self,
        transaction: DatabaseTransaction,
        envelopes: Sequence[CommandEnvelope],
        results: Sequence[CommandResult],
    ) -> Sequence[CommandResult]:
        """Return the results of a transaction's commands with the contents that they hand out.

        All are read at once, as they are at the end of the transaction.
        """
        handing = {
            index: (envelope.tenant, result.contents_id)
            for index, (envelope, result) in enumerate(zip(envelopes, results, strict=True))
            if isinstance(result, Accepted) and result.contents_id and not result.replayed
        }
        if not handing:
            return results
        found: dict[tuple[str, str], dict[tuple[str, str], Content] | None]
        found = {key: {} for key in handing.values()}
        values = {"ids": orjson.dumps(list(found)).decode()}
        for row in await transaction.fetch(self._handed_out, values):
            if row.body is None:
                found[row.tenant, row.message_id] = None
            elif (contents := found[row.tenant, row.message_id]) is not None:
                contents[row.message_id, row.part] = content_from_row(row)
        complete = list(results)
        for index, key in handing.items():
            accepted: Any = results[index]
            complete[index] = replace(accepted, contents=found[key])
        return complete


class ContentReader:
    """Reads contents for responses. Each call reads a snapshot of its own."""

    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._store = ContentStore(log.database)

    async def texts(self, tenant: str, ids: Iterable[str]) -> Mapping[tuple[str, str], str]:
        """Return the texts by id and part (TEXT_PARTS); erased ones are absent."""
        async with self._log.read() as transaction:
            found = await self._store.read(transaction, tenant, ids, TEXT_PARTS)
        return {key: content.data.decode() for key, content in found.items()}

    async def all(self, tenant: str, ids: Iterable[str]) -> Contents:
        """Return all contents of these ids, attachments included."""
        async with self._log.read() as transaction:
            return await self._store.read(transaction, tenant, ids)

    async def parts(self, tenant: str, ids: Iterable[str], parts: Sequence[str]) -> Contents:
        """Return some contents of these ids."""
        async with self._log.read() as transaction:
            return await self._store.read(transaction, tenant, ids, parts)

    async def one(self, tenant: str, id_: str, part: str) -> Content | None:
        """Return one content, for example an attachment."""
        async with self._log.read() as transaction:
            found = await self._store.read(transaction, tenant, (id_,), (part,))
        return found.get((id_, part))


def _matching(database: Database, name: str, columns: int) -> Select[Any]:
    """Return the statement for contents, by tenant and id, or also by part.

    The tenant is in the rows as well: SQLite would read all contents of a tenant given apart.
    """
    rows, cells = database.rows(name, columns)
    key = (_columns.tenant, _columns.message_id, _columns.part)
    same = (column == cell for column, cell in zip(key, cells, strict=False))
    return select(message_bodies).select_from(rows.join(message_bodies, and_(*same)))


def content_from_row(row: Any) -> Content:  # noqa: ANN401 - a row of ``message_bodies``.
    return Content(id=row.message_id, part=row.part, salt=bytes(row.salt), data=bytes(row.body))
