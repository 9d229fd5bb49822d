"""All contents of a database, in pages of a limited size, for backups and verification."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, and_, bindparam, func, inspect, select, tuple_

from quorate.eventlog.contents import TenantContent, content_from_row
from quorate.eventlog.database import Database
from quorate.eventlog.tables import message_bodies
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery

PAGE_BYTES_MAX = 4 * 1024 * 1024  # Unless a single content is larger.
KEYS_PER_PAGE = 1_000
_KEY = tuple(message_bodies.primary_key)


def supports_contents(connection: Connection) -> bool:
    """Return whether the schema has the table; older versions do not."""
    return inspect(connection).has_table(message_bodies.name)


class ContentPages:
    """Reads the table in the order of its key; sizes first, so that a page fits into memory."""

    def __init__(self, database: Database) -> None:
        keys, cells = database.rows("keys", len(_KEY))
        same = and_(*(column == cell for column, cell in zip(_KEY, cells, strict=True)))
        size = func.length(message_bodies.c.body).label("size")
        first = select(*_KEY, size).order_by(*_KEY).limit(bindparam("limit"))
        last = (bindparam(f"last_{column.name}", type_=column.type) for column in _KEY)
        contents = select(message_bodies).select_from(keys.join(message_bodies, same))
        count = select(func.count().label("count")).select_from(message_bodies)
        self._first_sizes = UnpackedQuery(first, database.dialect)
        self._sizes = UnpackedQuery(first.where(tuple_(*_KEY) > tuple_(*last)), database.dialect)
        self._contents = UnpackedQuery(contents, database.dialect)
        self._count = Query(count, database.dialect)

    async def count(self, transaction: DatabaseTransaction) -> int:
        ((count,),) = await transaction.fetch(self._count, {})
        return int(count)

    async def pages(
        self, transaction: DatabaseTransaction
    ) -> AsyncIterator[Sequence[TenantContent]]:
        query, after = self._first_sizes, dict[str, Any]()
        while sizes := await transaction.fetch(query, {**after, "limit": KEYS_PER_PAGE}):
            for keys in _split(sizes):
                values = {"keys": orjson.dumps(keys).decode()}
                found = await transaction.fetch(self._contents, values)
                contents = {(row.tenant, row.message_id, row.part): row for row in found}
                yield [(key[0], content_from_row(contents[key])) for key in keys]
            query = self._sizes
            after = {f"last_{column.name}": getattr(sizes[-1], column.name) for column in _KEY}


def _split(sizes: Sequence[Any]) -> Iterator[list[tuple[str, str, str]]]:
    page: list[tuple[str, str, str]] = []
    size = 0
    for row in sizes:
        if page and size + row.size > PAGE_BYTES_MAX:
            yield page
            page, size = [], 0
        page.append((row.tenant, row.message_id, row.part))
        size += row.size
    yield page
