"""Queries of the read models: pages and single rows, each from one consistent snapshot.

* Every result contains the tenant's head sequence in that snapshot.
* A deadline takes effect when it passes, also before its event is recorded. Results do not depend
  on delays of the deadline scheduler.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import BindParameter, Label, Select, and_, bindparam, func, or_, select

from quorate.domain.coordination.consensus import Choice, ConsensusRequest, Status, Vote
from quorate.domain.coordination.leases import Lease
from quorate.domain.coordination.status import lease_status, request_status
from quorate.domain.identity.agent_settings import Settings
from quorate.domain.identity.api_keys import Key
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentReader
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.agent_counts import AgentRow, agent_row, counted_agents, uncounted_agents
from quorate.projections.coordination import consensus
from quorate.projections.coordination import leases as lease_rows
from quorate.projections.electorates import (
    ElectorateQueries,
    VoterRow,
    pending_columns,
    pending_count,
)
from quorate.projections.identity import agent_settings, api_keys
from quorate.projections.identity import agents as agent_rows
from quorate.projections.snapshots import (
    UNSIZED,
    Listing,
    QueryResult,
    Size,
    Snapshot,
    open_snapshot,
)
from quorate.projections.tables import (
    agents,
    configs,
    keys,
    lease_tenant_compared,
    leases,
    requests,
    tenants,
    votes,
    without,
)

START = ""


@record
class RequestRow:
    """A proposal without its long parts: votes are counted, members are left out.

    The size of the electorate is that of now or of the decision. ``counted_...`` are the votes that
    count now, while the proposal is pending.
    """

    request: ConsensusRequest
    approvals: int
    rejections: int
    electorate_size: int | None
    counted_approvals: int | None
    counted_rejections: int | None


@record
class KeyRow:
    tenant: str
    key: Key


class Reader:
    """Reads the read models. The pages of a list end early when ``size`` says that they are large.

    Every list is ordered by a key that never changes. Following its pages returns each row that
    exists from the first page to the last one, once. A row that is added meanwhile may be missing.
    """

    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._queries = _Queries(log)
        self._electorates = ElectorateQueries(log.database)
        self.contents = ContentReader(log)

    # -- Agents --------------------------------------------------------------

    async def agent(self, tenant: str, agent_id: str) -> QueryResult[AgentRow | None]:
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "id": agent_id, "now": snapshot.now}
            found = await snapshot.rows(self._queries.agent, values)
            row = agent_row(found[0]) if found else None
        return snapshot.result(row)

    async def agents(
        self,
        tenant: str,
        after: str,
        limit: int,
        status: str | None = None,
        size: Size[AgentRow] = UNSIZED,
        *,
        with_counts: bool = True,
    ) -> QueryResult[Sequence[AgentRow]]:
        """Return agents in the order of ids; by default those that have not deregistered."""
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "after": after, "now": snapshot.now}
            queries = self._queries.agents if with_counts else self._queries.agents_only
            listing = Listing(queries[status], values, agent_row)
            return await snapshot.page(listing, limit, size)

    async def settings(self, tenant: str, agent_id: str) -> QueryResult[Settings | None]:
        """Return None when there is no such agent, and no settings when none are stored."""
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "id": agent_id, "now": snapshot.now}
            known = await snapshot.rows(self._queries.agent, values)
            found = await snapshot.rows(self._queries.settings, values)
        if not known:
            return snapshot.result(None)
        return snapshot.result(agent_settings.from_row(found[0]) if found else {})

    # -- Leases --------------------------------------------------------------

    async def lease(self, tenant: str, lease_id: str) -> QueryResult[Lease | None]:
        async with self._snapshot(tenant) as snapshot:
            found = await snapshot.rows(self._queries.lease, {"tenant": tenant, "id": lease_id})
            holder = None
            if found:
                named = {"tenant": tenant, "id": found[0].agent_id, "now": snapshot.now}
                holder = await snapshot.rows(self._queries.agent, named)
        if not found:
            return snapshot.result(None)
        lease = lease_rows.from_row(found[0])
        agent = agent_rows.from_row(holder[0]) if holder else None  # None: its name was removed.
        return snapshot.result(replace(lease, status=lease_status(lease, agent, snapshot.now)))

    async def live_leases(  # noqa: PLR0917 - the parameters of the operation.
        self,
        tenant: str,
        after: str,
        limit: int,
        agent_id: str | None,
        contact_key: str | None,
        size: Size[Lease] = UNSIZED,
    ) -> QueryResult[Sequence[Lease]]:
        """Return leases in the order of contact keys, after the contact of the lease ``after``."""
        async with self._snapshot(tenant) as snapshot:
            values = {
                "tenant": tenant,
                "after": await self._contact_of(snapshot, tenant, after),
                "now": snapshot.now,
                "agent_id": agent_id,
                "contact_key": contact_key,
            }
            query = self._queries.live_leases(agent_id, contact_key)
            listing = Listing(query, values, lease_rows.from_row, attrgetter("contact_key"))
            return await snapshot.page(listing, limit, size)

    async def _contact_of(self, snapshot: Snapshot, tenant: str, lease_id: str) -> str:
        if lease_id == START:
            return START
        found = await snapshot.rows(self._queries.lease, {"tenant": tenant, "id": lease_id})
        return str(found[0].contact_key) if found else START

    # -- Consensus -----------------------------------------------------------

    async def request(self, tenant: str, request_id: str) -> QueryResult[RequestRow | None]:
        values: dict[str, Any] = {"tenant": tenant, "id": request_id}
        async with self._snapshot(tenant) as snapshot:
            values["now"] = snapshot.now
            found = await snapshot.rows(self._queries.request, values)
        return snapshot.result(_request_row(found[0], snapshot.now) if found else None)

    async def requests(
        self,
        tenant: str,
        after: str,
        limit: int,
        status: Status | None,
        size: Size[RequestRow] = UNSIZED,
    ) -> QueryResult[Sequence[RequestRow]]:
        async with self._snapshot(tenant) as snapshot:
            now = snapshot.now
            values = {"tenant": tenant, "after": after, "status": status, "now": now}
            query = self._queries.requests(status)
            listing = Listing(query, values, lambda row: _request_row(row, now))
            return await snapshot.page(listing, limit, size)

    async def votes(
        self, tenant: str, request_id: str, after: str, limit: int, size: Size[Vote] = UNSIZED
    ) -> QueryResult[Sequence[Vote]]:
        """Return votes in the order of voter ids."""
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "id": request_id, "after": after}
            query, cursor = self._queries.votes_page, attrgetter("agent_id")
            listing = Listing(query, values, consensus.vote_of, cursor)
            return await snapshot.page(listing, limit, size)

    async def electorate(
        self, tenant: str, request_id: str, after: str, limit: int, size: Size[VoterRow] = UNSIZED
    ) -> QueryResult[Sequence[VoterRow]]:
        """Return agents in the order of ids; none when there is no such proposal."""
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "id": request_id, "now": snapshot.now}
            known = await snapshot.rows(self._queries.request, values)
            if not known:
                return snapshot.result([])
            request = _request_row(known[0], snapshot.now).request

            async def read(after: str, limit: int) -> Sequence[VoterRow]:
                part = {**values, "after": after, "limit": limit}
                return await self._electorates.page(snapshot.transaction, request, part)

            return await snapshot.collect(read, after, limit, size)

    # -- Keys and tenants ----------------------------------------------------

    async def key(self, key_id: str) -> KeyRow | None:
        """Return a key of any tenant: a caller's key tells which tenant it belongs to."""
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._queries.key, {"id": key_id})
        return KeyRow(tenant=found[0].tenant, key=api_keys.from_row(found[0])) if found else None

    async def valid_keys(self, key_ids: Collection[str]) -> frozenset[str]:
        """Return those of these keys that are valid and whose tenant is not suspended."""
        asked = orjson.dumps([[key_id] for key_id in key_ids]).decode()
        values = {"asked": asked, "now": self._clock()}
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._queries.valid_keys, values)
        return frozenset(row.id for row in found)

    async def agent_keys(self, tenant: str, agent_id: str) -> frozenset[str]:
        """Return the ids of an agent's keys."""
        values = {"tenant": tenant, "agent_id": agent_id}
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._queries.agent_keys, values)
        return frozenset(row.id for row in found)

    async def keys(
        self, tenant: str, after: str, limit: int, size: Size[Key] = UNSIZED
    ) -> QueryResult[Sequence[Key]]:
        async with self._snapshot(tenant) as snapshot:
            values = {"tenant": tenant, "after": after}
            listing = Listing(self._queries.keys, values, api_keys.from_row)
            return await snapshot.page(listing, limit, size)

    async def has_tenant(self, tenant: str) -> bool:
        async with self._log.read() as transaction:
            return bool(await transaction.fetch(self._queries.tenant, {"id": tenant}))

    def _snapshot(self, tenant: str) -> AbstractAsyncContextManager[Snapshot]:
        return open_snapshot(self._log, self._clock, tenant)


def _request_row(row: Any, now: Timestamp) -> RequestRow:  # noqa: ANN401 - of ``requests``, counted.
    request = consensus.from_row(row, {})
    request = replace(request, status=request_status(request, now))
    count = pending_count(request, row)
    decided = request.tally.electorate_size if request.tally else None
    return RequestRow(
        request=request,
        approvals=row.cast_approve,
        rejections=row.cast_reject,
        electorate_size=decided if count is None else count.electorate_size,
        counted_approvals=None if count is None else count.approvals,
        counted_rejections=None if count is None else count.rejections,
    )


def _counted_requests() -> Select[Any]:
    """Count votes in the database: the votes of one page of proposals may not fit in memory."""

    def cast(choice: Choice) -> Label[int]:
        its_votes = and_(votes.c.tenant == requests.c.tenant, votes.c.request_id == requests.c.id)
        count = select(func.count()).where(its_votes, votes.c.vote == choice)
        return count.scalar_subquery().label(f"cast_{choice}")

    return select(*without(requests.c.members), cast("approve"), cast("reject"), *pending_columns())


class _Queries:
    """Statements that are built once, except those that depend on the given filters."""

    def __init__(self, log: EventStore) -> None:
        self._dialect = log.database.dialect
        in_tenant = {
            table: table.c.tenant == bindparam("tenant")
            for table in (agents, configs, keys, leases, requests, votes)
        }
        named: BindParameter[str] = bindparam("id")
        after: BindParameter[str] = bindparam("after")
        limit: BindParameter[int] = bindparam("limit")
        is_overdue = agents.c.active_until < bindparam("now")
        recorded = agents.c.status
        of_status = {
            None: recorded != "deregistered",
            "active": and_(recorded == "active", ~is_overdue),
            "inactive": or_(recorded == "lapsed", and_(recorded == "active", is_overdue)),
            "deregistered": recorded == "deregistered",
        }
        is_known = and_(in_tenant[agents], recorded != "reserved")
        counted = counted_agents().where(is_known)
        self.agent = self._query(counted.where(agents.c.id == named))
        self.agents, self.agents_only = (
            {
                status: self._page(found.where(where), agents.c.id > after, agents.c.id, limit)
                for status, where in of_status.items()
            }
            for found in (counted, uncounted_agents().where(is_known))
        )
        self.settings = self._query(
            select(configs).where(in_tenant[configs], configs.c.agent_id == named)
        )
        self.lease = self._query(select(leases).where(in_tenant[leases], leases.c.id == named))
        self.request = self._query(
            _counted_requests().where(in_tenant[requests], requests.c.id == named)
        )
        cast = select(votes).where(in_tenant[votes], votes.c.request_id == named)
        self.votes_page = self._page(cast, votes.c.agent_id > after, votes.c.agent_id, limit)
        self.key = self._query(select(keys).where(keys.c.id == named))
        asked, (key_id,) = log.database.rows("asked", 1)
        is_active = and_(tenants.c.id == keys.c.tenant, tenants.c.suspended_at.is_(None))
        is_asked = and_(keys.c.id == key_id, api_keys.is_valid)
        self.valid_keys = self._query(
            select(keys.c.id).select_from(asked.join(keys, is_asked).join(tenants, is_active))
        )
        self.agent_keys = self._query(
            select(keys.c.id).where(in_tenant[keys], keys.c.agent_id == bindparam("agent_id"))
        )
        self.keys = self._page(
            select(keys).where(in_tenant[keys]), keys.c.id > after, keys.c.id, limit
        )
        self.tenant = self._query(select(tenants).where(tenants.c.id == named))

    def live_leases(self, agent_id: str | None, contact_key: str | None) -> Query:
        holder = and_(agents.c.tenant == leases.c.tenant, agents.c.id == leases.c.agent_id)
        statement = (
            select(leases)
            .select_from(leases.join(agents, holder))
            .where(
                leases.c.ended_at.is_(None),
                leases.c.expires_at > bindparam("now"),
                agents.c.active_until >= bindparam("now"),
            )
        )
        if agent_id is None:
            statement = statement.where(leases.c.tenant == bindparam("tenant"))
        else:
            statement = statement.where(
                lease_tenant_compared == bindparam("tenant"),
                leases.c.agent_id == bindparam("agent_id"),
            )
        if contact_key is not None:
            statement = statement.where(leases.c.contact_key == bindparam("contact_key"))
        later = leases.c.contact_key > bindparam("after")
        return self._page(statement, later, leases.c.contact_key, bindparam("limit"))

    def requests(self, status: Status | None) -> Query:
        statement = _counted_requests().where(requests.c.tenant == bindparam("tenant"))
        overdue = and_(requests.c.status == "pending", requests.c.timeout_at <= bindparam("now"))
        if status == "expired":
            statement = statement.where((requests.c.status == "expired") | overdue)
        elif status is not None:
            statement = statement.where(requests.c.status == bindparam("status"), ~overdue)
        later = requests.c.id > bindparam("after")
        return self._page(statement, later, requests.c.id, bindparam("limit"))

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)

    def _page(self, statement: Select[Any], later: Any, order: Any, limit: Any) -> Query:  # noqa: ANN401
        return Query(statement.where(later).order_by(order).limit(limit), self._dialect)
