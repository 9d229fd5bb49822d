"""Verify the contents in a database: each is what its event says, and none is missing or added.

* A content that is missing was erased by a later event, or was removed: an error.
* A content without an event was added: an error, unless its event may be among archived events that
  are not read.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import bindparam, or_, select

from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import ContentRef, content_id_of
from quorate.domain.shared.records import record
from quorate.eventlog.archive.archiver import archive_end_in
from quorate.eventlog.archive.content_lines import REFS, explain_difference, refs_in
from quorate.eventlog.archive.content_pages import PAGE_BYTES_MAX, ContentPages, supports_contents
from quorate.eventlog.archive.files import ArchivedEvents
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.serialization import decode
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, UnpackedQuery

POSITIONS_PER_PAGE = 20_000
IDS_PER_READ = 500


@record
class VerifiedContents:
    """Contents that are what their events say; erased ones; and those whose event was not read."""

    verified: int = 0
    erased: int = 0
    unverified: int = 0


@record
class _Referring:
    """An event that refers to contents."""

    tenant: str
    sequence: int
    id: str
    refs: Mapping[str, ContentRef]


async def verify_contents(
    database: Database, archive: Path | None = None, *, oldest_removed: bool = False
) -> VerifiedContents:
    """Verify all contents in one snapshot; raises LogCorrupted and ArchiveCorrupted.

    With ``archive`` the contents of archived events are verified too; not with ``oldest_removed``.
    """
    if not await database.inspect(supports_contents):
        return VerifiedContents()
    async with database.read() as transaction:
        end = await archive_end_in(transaction, database.dialect)
        verifier = _Verifier(database, transaction)
        reads_archive = archive is not None and not oldest_removed
        if reads_archive and end.position:
            archived = ArchivedEvents(archive, end)
            while some := archived.page(IDS_PER_READ):
                await verifier.verify(some)
        async for page in _pages(database, transaction, end.position):
            await verifier.verify(page)
        return await verifier.finish(is_complete=reads_archive or not end.position)


class _Verifier:
    def __init__(self, database: Database, transaction: DatabaseTransaction) -> None:
        self._transaction = transaction
        self._store, self._pages = ContentStore(database), ContentPages(database)
        self._erasing = {type_.__name__: id_of for type_, id_of in SCHEMA.erases.items()}
        self._missing: dict[tuple[str, str], int] = {}  # The sequence of the event.
        self._verified = self._erased = 0

    async def verify(self, page: Iterable[Any]) -> None:
        """Verify the contents of these events, rows of the table or of a file."""
        referring: list[_Referring] = []
        erased: list[tuple[str, str]] = []
        for event in page:
            if (refs := _refs(event)) is not None:
                referring.append(refs)
            if (id_of := self._erasing.get(event.type)) is not None:
                erased.append((event.tenant, id_of(decode(event.type, event.version, event.data))))
        for some in _parts(referring):
            await self._verify_part(some)
        for id_ in erased:
            self._erased += self._missing.pop(id_, None) is not None

    async def _verify_part(self, referring: Sequence[_Referring]) -> None:
        tenant = referring[0].tenant
        found = await self._store.read(self._transaction, tenant, [one.id for one in referring])
        of_id: dict[str, list[Any]] = {}
        for content in found.values():
            of_id.setdefault(content.id, []).append(content)
        for one in referring:
            contents = of_id.get(one.id, ())
            for content in contents:
                if (reason := explain_difference(content, one.refs)) is not None:
                    raise LogCorrupted(f"tenant {tenant}: event {one.sequence}: {reason}")
            self._verified += len(contents)
            if len(contents) < len(one.refs):
                self._missing[tenant, one.id] = one.sequence

    async def finish(self, *, is_complete: bool) -> VerifiedContents:
        for (tenant, id_), sequence in self._missing.items():
            message = f"event {sequence}: contents of {id_} are missing, and no event erased them"
            raise LogCorrupted(f"tenant {tenant}: {message}")
        unverified = await self._pages.count(self._transaction) - self._verified
        if is_complete and unverified:
            raise LogCorrupted(f"{unverified} contents belong to no event")
        return VerifiedContents(verified=self._verified, erased=self._erased, unverified=unverified)


async def _pages(
    database: Database, transaction: DatabaseTransaction, after: int
) -> AsyncIterator[Sequence[Any]]:
    """Yield the events after a position that refer to contents or erase some."""
    columns = (events.c.tenant, events.c.sequence, events.c.stream, events.c.type)
    erasing = (events.c.type == type_.__name__ for type_ in SCHEMA.erases)
    of_contents = or_(events.c.data.contains(f'"{REFS}":'), *erasing)
    statement = select(*columns, events.c.version, events.c.data).where(
        events.c.position > bindparam("after"),
        events.c.position <= bindparam("until"),
        of_contents,
    )
    last = select(events.c.position).order_by(events.c.position.desc()).limit(1)
    found = await transaction.fetch(UnpackedQuery(last, database.dialect), {})
    head = found[0].position if found else 0
    query = UnpackedQuery(statement.order_by(events.c.position), database.dialect)
    while after < head:
        until = after + POSITIONS_PER_PAGE
        yield await transaction.fetch(query, {"after": after, "until": until})
        after = until


def _refs(event: Any) -> _Referring | None:  # noqa: ANN401 - a row of ``events``, or an event.
    data = orjson.loads(event.data)
    try:
        refs = refs_in(data)
    except ValueError as error:
        raise LogCorrupted(f"tenant {event.tenant}: event {event.sequence}: {error}") from error
    if not refs:
        return None
    return _Referring(
        tenant=event.tenant,
        sequence=event.sequence,
        id=content_id_of(event.stream),
        refs=refs,
    )


def _parts(referring: Iterable[_Referring]) -> Iterator[Sequence[_Referring]]:
    """Yield events of one tenant, few enough that their contents fit into memory."""
    part: list[_Referring] = []
    size = 0
    for one in referring:
        more = sum(ref.bytes for ref in one.refs.values())
        is_full = len(part) >= IDS_PER_READ or size + more > PAGE_BYTES_MAX
        if part and (is_full or part[0].tenant != one.tenant):
            yield part
            part, size = [], 0
        part.append(one)
        size += more
    if part:
        yield part
