"""Queries of presets, and of the presets that the keys of an agent are bound to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select

from quorate.domain.sessions.presets import Preset
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.identity import api_keys
from quorate.projections.sessions import presets as rows
from quorate.projections.snapshots import Listing, QueryResult, Size, open_snapshot
from quorate.projections.tables import keys, presets

PRESETS_OF_AGENT_MAX = 50


class PresetQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        tenant: BindParameter[str] = bindparam("tenant")
        limit: BindParameter[int] = bindparam("limit")
        of_tenant = select(presets).where(presets.c.tenant == tenant)
        page = of_tenant.where(presets.c.id > bindparam("after")).order_by(presets.c.id)
        self._one = self._query(of_tenant.where(presets.c.id == bindparam("id")))
        self._page = self._query(page.limit(limit))
        count = select(func.count().label("number")).select_from(presets)
        self._count = self._query(count.where(presets.c.tenant == tenant))
        bound = (
            select(keys.c.preset)
            .distinct()
            .where(
                api_keys.tenant_compared == tenant,
                keys.c.agent_id == bindparam("agent_id"),
                keys.c.preset.is_not(None),
                api_keys.is_usable,
                api_keys.is_valid,
            )
        )
        self._bound = self._query(bound.order_by(keys.c.preset).limit(PRESETS_OF_AGENT_MAX))

    async def get(self, tenant: str, name: str) -> QueryResult[Preset | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._one, {"tenant": tenant, "id": name})
            return snapshot.result(rows.from_row(found[0]) if found else None)

    async def by_name(self, tenant: str, names: Sequence[str]) -> Mapping[str, Preset]:
        """Return the presets with these few names, as far as they exist."""
        if not names:
            return {}
        async with self._log.read() as transaction:
            found = [
                await transaction.fetch(self._one, {"tenant": tenant, "id": name}) for name in names
            ]
        return {one[0].id: rows.from_row(one[0]) for one in found if one}

    async def page(
        self, tenant: str, after: str, limit: int, size: Size[Preset]
    ) -> QueryResult[Sequence[Preset]]:
        """Return presets in the order of their names."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            listing = Listing(self._page, {"tenant": tenant, "after": after}, rows.from_row)
            return await snapshot.page(listing, limit, size)

    async def count(self, tenant: str) -> int:
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._count, {"tenant": tenant})
        return int(found[0].number)

    async def bound_to(self, tenant: str, agent_id: str) -> tuple[str, ...]:
        """Return the presets that the valid keys of an agent are bound to."""
        values = {"tenant": tenant, "agent_id": agent_id, "now": self._clock()}
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._bound, values)
        return tuple([str(row.preset) for row in found])

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._log.database.dialect)
