"""Queries of mail: inbox, sent messages, threads, accounts and deliveries.

* A list is ordered by the sequence of its messages. A cursor is ``"<newest>.<oldest>"`` of the page
  it came from: as ``since`` it continues with what arrives later, as ``cursor`` with the rest.
* A page ends early when its bodies are large, so each page has a limit in bytes.
* Bodies are read in the snapshot of the page. Those of erased messages are absent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import orjson
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    literal_column,
    select,
)

from quorate.domain.mail.accounts import MailAccount
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.mailbox_entries import MailEntry, entry_id
from quorate.domain.mail.messages import Message
from quorate.domain.mail.threads import MailThread
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import TEXT_PARTS, ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.mail import accounts as account_rows
from quorate.projections.mail import deliveries as delivery_rows
from quorate.projections.mail import mailboxes as entry_rows
from quorate.projections.mail import messages as message_rows
from quorate.projections.mail import threads as thread_rows
from quorate.projections.repository import matching
from quorate.projections.snapshots import (
    Listing,
    QueryResult,
    Size,
    Snapshot,
    open_snapshot,
)

Order: TypeAlias = Literal["asc", "desc"]
SEQUENCE_MAX = 2**53 - 1
PART_MAX = 20  # Messages whose bodies are read at once.
MESSAGE_BYTES = 1_000  # Of a message in a response, without its bodies.

_entries, _messages = entry_rows.TABLE, message_rows.TABLE


@record
class MailRow:
    """A message, its entry in the mailbox that is read, and its bodies where they exist."""

    message: Message
    entry: MailEntry | None
    text: str | None = None
    html: str | None = None


@record
class MailRows:
    rows: Sequence[MailRow]
    has_more: bool
    unread: int


@record
class InboxFilter:
    unread_only: bool = False
    from_address: str | None = None
    thread_id: str | None = None
    kind: str | None = None
    task_id: str | None = None


@record
class Range:
    """Messages after one sequence and before another, in an order."""

    after: int = 0
    before: int = SEQUENCE_MAX
    order: Order = "desc"
    newest: int | None = None  # Of the first page of a list with the newest message first.


class MailReader:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentStore(log.database)
        self._queries = _Queries(log)

    # -- Lists ---------------------------------------------------------------

    async def inbox(  # noqa: PLR0917 - the parameters of the operation.
        self,
        tenant: str,
        agent_id: str,
        filters: InboxFilter,
        within: Range,
        limit: int,
        bytes_max: int,
    ) -> QueryResult[MailRows]:
        query = self._queries.inbox(filters, within.order)
        values = {
            "tenant": tenant,
            "agent_id": agent_id,
            "after": within.after,
            "before": within.before,
            "from_address": filters.from_address,
            "thread_id": filters.thread_id,
            "kind": filters.kind,
            "task_id": filters.task_id,
            "limit": limit + 1,
        }
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = [entry_rows.from_row(row) for row in await snapshot.rows(query, values)]
            kept = _fitting(found[:limit], lambda entry: entry.bytes, bytes_max)
            messages = await self._messages(snapshot, tenant, [one.message_id for one in kept])
            rows = [MailRow(message=messages[one.message_id], entry=one) for one in kept]
            account = await self._account(snapshot, tenant, agent_id)
            return snapshot.result(
                MailRows(
                    rows=await self._with_bodies(snapshot, tenant, rows),
                    has_more=len(found) > len(kept),
                    unread=0 if account is None else account.unread,
                )
            )

    async def sent(
        self, tenant: str, agent_id: str, within: Range, limit: int, bytes_max: int
    ) -> QueryResult[MailRows]:
        values = {"tenant": tenant, "agent_id": agent_id, "before": within.before}
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            query = self._queries.sent
            found = await snapshot.rows(query, {**values, "limit": limit + 1})
            return snapshot.result(await self._page(snapshot, tenant, found, limit, bytes_max))

    async def thread_messages(  # noqa: PLR0917 - the parameters of the operation.
        self,
        tenant: str,
        thread_id: str,
        agent_id: str | None,
        within: Range,
        limit: int,
        bytes_max: int,
    ) -> QueryResult[MailRows]:
        """Return messages of a thread, with the entries of one mailbox."""
        values = {
            "tenant": tenant,
            "thread_id": thread_id,
            "after": within.after,
            "before": within.before,
            "limit": limit + 1,
        }
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._queries.thread_messages[within.order], values)
            page = await self._page(snapshot, tenant, found, limit, bytes_max, agent_id)
            return snapshot.result(page)

    async def by_ids(
        self, tenant: str, agent_id: str | None, ids: Sequence[str], bytes_max: int
    ) -> QueryResult[MailRows]:
        """Return messages in the order of ``ids``; those that do not exist are left out."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            by_id = await self._messages(snapshot, tenant, ids)
            found = [by_id[one] for one in ids if one in by_id]
            kept = _fitting(found, lambda message: message.bytes, bytes_max)
            entries = await self._entries(snapshot, tenant, agent_id, kept)
            rows = [MailRow(message=one, entry=entries.get(one.id)) for one in kept]
            read = await self._with_bodies(snapshot, tenant, rows)
            return snapshot.result(MailRows(rows=read, has_more=len(found) > len(kept), unread=0))

    async def deliveries(
        self, tenant: str, after: str, limit: int, status: str, size: Size[Delivery]
    ) -> QueryResult[Sequence[Delivery]]:
        """Return deliveries with a status, in the order of ids."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            values = {"tenant": tenant, "after": after, "status": status}
            listing = Listing(self._queries.deliveries, values, delivery_rows.from_row)
            return await snapshot.page(listing, limit, size)

    # -- Single rows ---------------------------------------------------------

    async def message(
        self, tenant: str, message_id: str, agent_id: str | None
    ) -> QueryResult[MailRow | None]:
        """Return a message with its entry, which may be deleted, in one mailbox."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await self._messages(snapshot, tenant, [message_id])
            if message_id not in found:
                return snapshot.result(None)
            message = found[message_id]
            entries = await self._entries(
                snapshot, tenant, agent_id, [message], self._queries.all_entries
            )
            row = MailRow(message=message, entry=entries.get(message_id))
            (row,) = await self._with_bodies(snapshot, tenant, [row])
            return snapshot.result(row)

    async def thread(self, tenant: str, thread_id: str) -> QueryResult[MailThread | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            values = {"tenant": tenant, "id": thread_id}
            found = await snapshot.rows(self._queries.thread, values)
            return snapshot.result(thread_rows.from_row(found[0]) if found else None)

    async def account(self, tenant: str, agent_id: str) -> QueryResult[MailAccount | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            return snapshot.result(await self._account(snapshot, tenant, agent_id))

    async def delivery(self, tenant: str, delivery_id: str) -> QueryResult[Delivery | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            values = {"tenant": tenant, "id": delivery_id}
            found = await snapshot.rows(self._queries.delivery, values)
            return snapshot.result(delivery_rows.from_row(found[0]) if found else None)

    # -- Parts of a page -----------------------------------------------------

    async def _page(  # noqa: PLR0917 - the parts of a page.
        self,
        snapshot: Snapshot,
        tenant: str,
        found: Sequence[Any],
        limit: int,
        bytes_max: int,
        agent_id: str | None = None,
    ) -> MailRows:
        messages = [message_rows.from_row(row) for row in found]
        kept = _fitting(messages[:limit], lambda message: message.bytes, bytes_max)
        entries = await self._entries(snapshot, tenant, agent_id, kept)
        rows = [MailRow(message=one, entry=entries.get(one.id)) for one in kept]
        return MailRows(
            rows=await self._with_bodies(snapshot, tenant, rows),
            has_more=len(found) > len(kept),
            unread=0,
        )

    async def _messages(
        self, snapshot: Snapshot, tenant: str, ids: Sequence[str]
    ) -> Mapping[str, Message]:
        asked = orjson.dumps([(tenant, one) for one in ids]).decode()
        rows = await snapshot.rows(self._queries.messages, {"asked": asked}) if ids else ()
        return {row.id: message_rows.from_row(row) for row in rows}

    async def _entries(
        self,
        snapshot: Snapshot,
        tenant: str,
        agent_id: str | None,
        messages: Sequence[Message],
        query: Query | None = None,
    ) -> Mapping[str, MailEntry]:
        if agent_id is None or not messages:
            return {}
        keys = [(tenant, entry_id(one.id, agent_id)) for one in messages]
        asked = orjson.dumps(keys).decode()
        rows = await snapshot.rows(query or self._queries.entries, {"asked": asked})
        return {row.message_id: entry_rows.from_row(row) for row in rows}

    async def _account(self, snapshot: Snapshot, tenant: str, agent_id: str) -> MailAccount | None:
        values = {"tenant": tenant, "id": agent_id}
        found = await snapshot.rows(self._queries.account, values)
        return account_rows.from_row(found[0]) if found else None

    async def _with_bodies(
        self, snapshot: Snapshot, tenant: str, rows: Sequence[MailRow]
    ) -> Sequence[MailRow]:
        ids = [row.message.id for row in rows if row.message.erased_at is None]
        found = await self._contents.read(snapshot.transaction, tenant, ids, TEXT_PARTS)
        texts = {key: content.data.decode() for key, content in found.items()}
        return [
            MailRow(
                message=row.message,
                entry=row.entry,
                text=texts.get((row.message.id, "text")),
                html=texts.get((row.message.id, "html")),
            )
            for row in rows
        ]


def _fitting(items: Sequence[Any], size_of: Callable[[Any], int], bytes_max: int) -> list[Any]:
    """Return the first items that fit into a page, at least one."""
    kept: list[Any] = []
    size = 0
    for item in items:
        size += size_of(item) + MESSAGE_BYTES
        if kept and size > bytes_max:
            break
        kept.append(item)
    return kept


class _Queries:
    def __init__(self, log: EventStore) -> None:
        database = log.database
        self._dialect = database.dialect
        self._inbox: dict[tuple[Any, ...], Query] = {}
        self.messages = matching(
            database, _messages, select(_messages), (_messages.c.tenant, _messages.c.id)
        )
        self.entries = matching(
            database,
            _entries,
            select(_entries),
            (_entries.c.tenant, _entries.c.id),
            entry_rows.is_kept,
        )
        self.all_entries = matching(
            database, _entries, select(_entries), (_entries.c.tenant, _entries.c.id)
        )
        in_thread = _in_tenant(_messages) & (_messages.c.thread_id == bindparam("thread_id"))
        self.thread_messages = {
            order: self._ordered(select(_messages).where(in_thread), _messages, order)
            for order in ("asc", "desc")
        }
        is_own = (
            _in_tenant(_messages)
            & (_messages.c.sender_id == bindparam("agent_id"))
            & message_rows.is_kept_by_sender
            & (_messages.c.sequence < bindparam("before"))
        )
        sent = select(_messages).where(is_own).order_by(_messages.c.sequence.desc())
        self.sent = self._query(sent.limit(bindparam("limit")))
        self.thread = self._by_id(thread_rows.TABLE)
        self.account = self._by_id(account_rows.TABLE)
        self.delivery = self._by_id(delivery_rows.TABLE)
        deliveries = delivery_rows.TABLE
        listed = select(deliveries).where(
            _in_tenant(deliveries),
            deliveries.c.status == bindparam("status"),
            delivery_rows.is_listed,
            deliveries.c.id > bindparam("after"),
        )
        self.deliveries = self._query(listed.order_by(deliveries.c.id).limit(bindparam("limit")))

    def inbox(self, filters: InboxFilter, order: Order) -> Query:
        """Return the query for these filters; there are few combinations."""
        named = ("from_address", "thread_id", "kind", "task_id")
        used = tuple(name for name in named if getattr(filters, name) is not None)
        key = (filters.unread_only, order, *used)
        found = self._inbox.get(key)
        if found is None:
            has_index = filters.unread_only or used
            in_thread = filters.thread_id is not None
            tenant = entry_rows.tenant_compared if has_index else _entries.c.tenant
            conditions: list[ColumnElement[bool]] = [
                entry_rows.is_kept,
                *(_entries.c[name] == bindparam(name) for name in used if name != "thread_id"),
            ]
            if filters.unread_only:
                conditions.append(_entries.c.read_at.is_(None))
            statement = select(_entries).where(and_(*conditions))
            agent_id: BindParameter[str] = bindparam("agent_id")
            if in_thread:
                statement = _of_thread(statement, agent_id)
                found = self._ordered(statement, _messages, order)
            else:
                its_own = (tenant == bindparam("tenant")) & (_entries.c.agent_id == agent_id)
                found = self._ordered(statement.where(its_own), _entries, order)
            self._inbox[key] = found
        return found

    def _ordered(self, statement: Select[Any], table: Table, order: Order) -> Query:
        sequence = table.c.sequence
        within = statement.where(
            sequence > bindparam("after"), sequence < bindparam("before")
        ).order_by(sequence.asc() if order == "asc" else sequence.desc())
        return self._query(within.limit(bindparam("limit")))

    def _by_id(self, table: Table) -> Query:
        return self._query(select(table).where(_in_tenant(table), table.c.id == bindparam("id")))

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)


def _of_thread(statement: Select[Any], agent_id: ColumnElement[str]) -> Select[Any]:
    """Select the entries of one mailbox for the messages of a thread, in their order."""
    its_entry = and_(
        _entries.c.tenant == _messages.c.tenant,
        _entries.c.agent_id == agent_id,
        # An expression: no index of messages matches it, so the thread is read first.
        _entries.c.sequence == _messages.c.sequence + literal_column("0"),
    )
    in_thread = _in_tenant(_messages) & (_messages.c.thread_id == bindparam("thread_id"))
    return statement.select_from(_messages.join(_entries, its_entry)).where(in_thread)


def _in_tenant(table: Table) -> ColumnElement[bool]:
    return table.c.tenant == bindparam("tenant")
