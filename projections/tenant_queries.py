"""Queries about tenants, for operators and for quotas."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import BindParameter, Select, bindparam, or_, select

from quorate.domain.identity.tenants import NO_LIMITS, OPERATORS, Tenant, TenantLimits
from quorate.domain.shared.daily_quotas import WHOLE_TENANT, Usage
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore, Heads
from quorate.eventlog.transactions import Query
from quorate.projections import counters, daily_usage
from quorate.projections.identity import tenants as tenant_rows
from quorate.projections.snapshots import UNSIZED, Listing, QueryResult, Size, open_snapshot
from quorate.projections.tables import counts, holdings, mail_accounts, tenants, usage

RESTRICTED_PER_PAGE = 1_000


@record
class StoredUse:
    """What a tenant and one of its agents have and had added, with the tenant's own limits."""

    sequence: int
    limits: TenantLimits
    counts: Mapping[str, int]
    live_leases_of_agent: int
    mailbox_bytes_of_agent: int
    open_tasks_of_agent: int
    of_tenant: Usage | None
    of_agent: Usage | None


class TenantQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        after: BindParameter[str] = bindparam("after")
        limit: BindParameter[int] = bindparam("limit")
        page = select(tenants).where(tenants.c.id > after, tenants.c.id != OPERATORS)
        page = page.order_by(tenants.c.id).limit(limit)
        is_restricted = or_(tenants.c.suspended_at.is_not(None), tenants.c.limits.is_not(None))
        self._tenant = self._query(select(tenants).where(tenants.c.id == bindparam("id")))
        self._page = self._query(page)
        self._restricted = self._query(page.where(is_restricted))
        tenant: BindParameter[str] = bindparam("tenant")
        self._counts = self._query(select(counts).where(counts.c.tenant == tenant))
        of_agent = holdings.c.agent_id == bindparam("agent_id")
        self._held = self._query(select(holdings).where(holdings.c.tenant == tenant, of_agent))
        mailbox = mail_accounts.c.tenant == tenant, mail_accounts.c.id == bindparam("agent_id")
        self._stored = self._query(select(mail_accounts).where(*mailbox))
        is_owner = usage.c.owner.in_((WHOLE_TENANT, bindparam("agent_id")))
        self._used = self._query(select(usage).where(usage.c.tenant == tenant, is_owner))

    async def get(self, tenant: str) -> Tenant | None:
        """Return a tenant; None for that of the operators too."""
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._tenant, {"id": tenant})
        return tenant_rows.from_row(found[0]) if found and tenant != OPERATORS else None

    async def page(
        self, after: str, limit: int, size: Size[Tenant] = UNSIZED
    ) -> QueryResult[Sequence[Tenant]]:
        """Return tenants in the order of their ids, without that of the operators."""
        async with open_snapshot(self._log, self._clock, OPERATORS) as snapshot:
            listing = Listing(self._page, {"after": after}, tenant_rows.from_row)
            return await snapshot.page(listing, limit, size)

    async def restricted(self) -> Sequence[Tenant]:
        """Return every tenant that is suspended or has limits of its own."""
        found: list[Tenant] = []
        async with self._log.read() as transaction:
            while True:
                values = {"after": found[-1].id if found else "", "limit": RESTRICTED_PER_PAGE}
                rows = await transaction.fetch(self._restricted, values)
                found += [tenant_rows.from_row(row) for row in rows]
                if len(rows) < RESTRICTED_PER_PAGE:
                    return found

    async def use(self, tenant: str, agent_id: str | None) -> StoredUse:
        """Return what counts for the quotas of a tenant and, if it is given, of one agent."""
        values = {"tenant": tenant, "agent_id": agent_id or WHOLE_TENANT}
        heads = Heads((tenant,))
        async with self._log.read() as transaction:
            await transaction.look_up(self._log.head_lookups(heads))
            known = await transaction.fetch(self._tenant, {"id": tenant})
            counted = await transaction.fetch(self._counts, {"tenant": tenant})
            held = await transaction.fetch(self._held, values)
            stored = await transaction.fetch(self._stored, values)
            used = await transaction.fetch(self._used, values)
        by_owner = {row.owner: daily_usage.usage_of(row) for row in used}
        return StoredUse(
            sequence=heads.tenants[tenant].sequence,
            limits=tenant_rows.from_row(known[0]).limits if known else NO_LIMITS,
            counts=counters.counts_of(counted[0]) if counted else {},
            live_leases_of_agent=held[0].live_leases if held else 0,
            mailbox_bytes_of_agent=stored[0].stored_bytes if stored else 0,
            open_tasks_of_agent=held[0].open_tasks if held else 0,
            of_tenant=by_owner.get(WHOLE_TENANT),
            of_agent=by_owner.get(agent_id) if agent_id else None,
        )

    def _query(self, statement: Select[tuple[object, ...]]) -> Query:
        return Query(statement, self._log.database.dialect)
