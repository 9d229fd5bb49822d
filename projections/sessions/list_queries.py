"""Queries of task lists. What a caller may not see is left out before a page is limited."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from sqlalchemy import BindParameter, Select, bindparam, func, select

from quorate.domain.sessions.list_item_commands import ItemRef
from quorate.domain.sessions.list_items import ListItem, item_address
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.task_lists import LISTS_PER_TENANT_MAX, policy_key
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.sessions import list_items as item_rows
from quorate.projections.sessions import task_lists as list_rows
from quorate.projections.snapshots import Listing, QueryResult, Size, Snapshot, open_snapshot

_items, _lists = item_rows.TABLE, list_rows.TABLE
_AFTER_ALL, _AFTER_LIST = "\x7f", "!"  # After all addresses, and after those of one list.


@record
class FoundItem:
    """An item, and whether its list is visible to the caller; ``creator_id`` owns the list."""

    item: ListItem | None
    creator_id: str | None


class ListQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        tenant: BindParameter[str] = bindparam("tenant")
        id_: BindParameter[str] = bindparam("id")
        of_tenant = select(_lists.c.id, _lists.c.creator_id).where(_lists.c.tenant == tenant)
        self._lists = self._query(of_tenant.order_by(_lists.c.id).limit(LISTS_PER_TENANT_MAX))
        self._list = self._query(of_tenant.where(_lists.c.id == id_))
        count = select(func.count().label("number")).select_from(_lists)
        self._count = self._query(count.where(_lists.c.tenant == tenant))
        items = select(_items).where(_items.c.tenant == tenant)
        self._by_id = self._query(items.where(_items.c.id == id_))
        self._by_address = self._query(items.where(_items.c.address == bindparam("address")))
        self._pages = {
            (by_status, by_list): self._query(
                self._page(items, by_status=by_status, by_list=by_list)
            )
            for by_status in (False, True)
            for by_list in (False, True)
        }

    def _page(self, items: Select[Any], *, by_status: bool, by_list: bool) -> Select[Any]:
        address = _items.c.address
        page = items.where(address > bindparam("after"), address < bindparam("until"))
        if by_status:
            page = page.where(_items.c.status == bindparam("status"))
        if by_list:
            asked, (cell,) = self._log.database.rows("asked", 1)
            page = page.where(_items.c.list_id.in_(select(cell).select_from(asked)))
        return page.order_by(address).limit(bindparam("limit"))

    async def count(self, tenant: str) -> int:
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._count, {"tenant": tenant})
        return int(found[0].number)

    async def visible(self, tenant: str, access: Access) -> QueryResult[Sequence[str]]:
        """Return the ids of the lists that the caller may see, in their order."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            return snapshot.result(await self._visible(snapshot, tenant, access))

    async def item(self, tenant: str, ref: ItemRef) -> QueryResult[FoundItem]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            values = {"tenant": tenant}
            if ref.is_number:
                values["address"] = item_address(ref.list_id, int(ref.id))
                rows = await snapshot.rows(self._by_address, values)
            else:
                rows = await snapshot.rows(self._by_id, {**values, "id": ref.id})
            item = item_rows.from_row(rows[0]) if rows else None
            creator = await self._creator(snapshot, tenant, item.list_id if item else ref.list_id)
            return snapshot.result(FoundItem(item=item, creator_id=creator))

    async def creator(self, tenant: str, list_id: str) -> str | None:
        """Return the agent that created a list, or None if there is no such list."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            return await self._creator(snapshot, tenant, list_id)

    async def page(  # noqa: PLR0917 - the parameters of the operation.
        self,
        tenant: str,
        access: Access,
        list_id: str | None,
        status: str | None,
        after: str,
        limit: int,
        size: Size[ListItem],
    ) -> QueryResult[Sequence[ListItem]]:
        """Return items by list and number, of one list or of all that the caller may see."""
        values: dict[str, Any] = {"tenant": tenant, "after": after, "until": _AFTER_ALL}
        if status is not None:
            values["status"] = status
        if list_id is not None:
            values["until"] = list_id + _AFTER_LIST
            values["after"] = max(after, item_address(list_id, 0))
        is_filtered = list_id is None and access.is_restricted
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            if is_filtered:
                visible = await self._visible(snapshot, tenant, access)
                values["asked"] = orjson.dumps([[one] for one in visible]).decode()
            query = self._pages[status is not None, is_filtered]
            listing = Listing(query, values, item_rows.from_row, lambda row: str(row.address))
            return await snapshot.page(listing, limit, size)

    async def _visible(self, snapshot: Snapshot, tenant: str, access: Access) -> list[str]:
        rows = await snapshot.rows(self._lists, {"tenant": tenant})
        return [row.id for row in rows if access.shows(policy_key(row.id), row.creator_id)]

    async def _creator(self, snapshot: Snapshot, tenant: str, list_id: str) -> str | None:
        rows = await snapshot.rows(self._list, {"tenant": tenant, "id": list_id})
        return rows[0].creator_id if rows else None

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._log.database.dialect)
