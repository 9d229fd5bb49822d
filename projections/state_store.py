"""What readers see, kept in step with the log: the port that the log writes through.

``load`` and ``save`` run inside the transaction that appends. Nothing is kept in memory between
two batches, so any number of processes may share a database and a restart needs no warm-up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Insert,
    Label,
    Select,
    Table,
    and_,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from quorate.domain.coordination.consensus import Vote
from quorate.domain.notifications import EVERYONE
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import TenantState
from quorate.eventlog.database import Database
from quorate.eventlog.state_store import Wanted
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections import rows, tables

Pair: TypeAlias = tuple[str, str]
Asked: TypeAlias = Sequence[tuple[str, ...]]
_TABLES: Sequence[Table] = tables.metadata.sorted_tables  # Sorted anew whenever one asks.


class SqlStateStore:
    """The projections of one database."""

    def __init__(self, backend: Database) -> None:
        self._queries = _Queries(backend)

    # -- Loading -------------------------------------------------------------

    def looks(
        self, tenant_states: Mapping[str, TenantState], wanted: Mapping[str, Wanted]
    ) -> Sequence[Lookup]:
        queries = self._queries
        contacts, named = _pairs(wanted, "contacts"), _pairs(wanted, "leases")
        told_by_id, told_by_name = _told(wanted), _pairs(wanted, "last_notifications_by_name")
        requests = _pairs(wanted, "requests")
        electorates = [(tenant,) for tenant, one in wanted.items() if one.electorate]
        tenants = [(tenant,) for tenant, one in wanted.items() if one.tenant]
        counted = [(tenant,) for tenant, one in wanted.items() if one.counts]
        plans: Sequence[tuple[Query, Asked, Put]] = [
            (queries.agents_by_id, _pairs(wanted, "agents"), _put_agents),
            (queries.agents_by_name, _pairs(wanted, "agent_names"), _put_agents),
            (queries.last_notifications_by_id, told_by_id, _put_last_notifications),
            (queries.last_notifications_by_name, told_by_name, _put_last_notifications),
            (queries.holders_by_contact, contacts, _put_agents),
            (queries.holders_by_lease, named, _put_agents),
            (queries.electorate, electorates, _put_agents),
            (queries.leases_by_contact, contacts, _put_leases),
            (queries.leases_by_id, named, _put_leases),
            (queries.requests_by_id, requests, _put_requests),
            (queries.votes_by_request, requests, _put_votes),  # Behind their requests.
            (queries.votes_by_voter, _triples(wanted, "votes"), _put_votes),
            (queries.votes_by_name, _triples(wanted, "votes_by_name"), _put_votes),
            (queries.configs_by_agent, _pairs(wanted, "settings"), _put_settings),
            (queries.keys_by_id, _pairs(wanted, "keys"), _put_keys),
            (queries.tenants_by_id, tenants, _put_tenants),
            (queries.counts_by_tenant, counted, _put_counts),
            (queries.holdings_by_id, _pairs(wanted, "holdings"), _put_holdings),
            (queries.holdings_by_name, _pairs(wanted, "holdings_by_name"), _put_holdings),
        ]
        return [_look(tenant_states, *plan) for plan in plans if plan[1]]

    def looks_for_what_lapses(
        self, tenant_states: Mapping[str, TenantState], now: Timestamp
    ) -> Sequence[Lookup]:
        overdue = [
            (tenant, agent.id)
            for tenant, tenant_state in tenant_states.items()
            for agent in tenant_state.agents.values()
            if agent.overdue(now)
        ]
        query = self._queries.leases_by_holder
        return [_look(tenant_states, query, overdue, _put_leases)] if overdue else []

    # -- Saving --------------------------------------------------------------

    async def save(
        self, session: DatabaseTransaction, tenant_states: Mapping[str, TenantState]
    ) -> None:
        for table, values in _changes(tenant_states).items():
            if values:
                await session.write(self._queries.upserts[table], values)


Put: TypeAlias = Callable[[Mapping[str, TenantState], Sequence[Any]], None]


def _look(tenant_states: Mapping[str, TenantState], query: Query, asked: Asked, put: Put) -> Lookup:
    """One query for all tenants."""
    values = {"asked": orjson.dumps(asked).decode()}
    return Lookup(query=query, values=values, take=lambda rows: put(tenant_states, rows))


def _put_agents(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].put_agent(rows.agent_of(row))


def _put_last_notifications(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        if row.sequence is not None:
            tenant_states[row.tenant].put_last_notification(row.agent_id, row.sequence)


def _put_leases(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].put_lease(rows.lease_of(row))


def _put_requests(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].requests[row.id] = rows.request_of(row, {})


def _put_votes(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    cast: dict[Pair, dict[str, Vote]] = {}
    for row in found:
        cast.setdefault((row.tenant, row.request_id), {})[row.agent_id] = rows.vote_of(row)
    for (tenant, request_id), votes in cast.items():
        requests = tenant_states[tenant].requests
        request = requests[request_id]
        requests[request_id] = replace(request, votes={**request.votes, **votes})


def _put_settings(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].settings[row.agent_id] = rows.settings_of(row)


def _put_keys(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].keys[row.id] = rows.key_of(row)


def _put_tenants(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.id].tenant = rows.tenant_of(row)


def _put_counts(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        tenant_states[row.tenant].put_counts(rows.counts_of(row))


def _put_holdings(tenant_states: Mapping[str, TenantState], found: Sequence[Any]) -> None:
    for row in found:
        if row.live_leases is not None:
            tenant_states[row.tenant].put_holding(*rows.holding_of(row))


def _told(wanted: Mapping[str, Wanted]) -> Sequence[Pair]:
    """Who is asked about by id; and everyone, wherever anybody is asked about."""
    asked = [
        (t, one)
        for t, one in wanted.items()
        if one.last_notifications or one.last_notifications_by_name
    ]
    return [
        (tenant, agent_id)
        for tenant, one in asked
        for agent_id in (*one.last_notifications, EVERYONE)
    ]


def _pairs(wanted: Mapping[str, Wanted], what: str) -> Sequence[Pair]:
    return [(tenant, name) for tenant, one in wanted.items() for name in getattr(one, what)]


def _triples(wanted: Mapping[str, Wanted], what: str) -> Asked:
    return [(tenant, *pair) for tenant, one in wanted.items() for pair in getattr(one, what)]


def _changes(tenant_states: Mapping[str, TenantState]) -> dict[Table, list[rows.Values]]:
    changes: dict[Table, list[rows.Values]] = {table: [] for table in _TABLES}
    for name, tenant_state in tenant_states.items():
        touched = tenant_state.touched
        if touched.tenant and tenant_state.tenant is not None:
            changes[tables.tenants].append(rows.tenant_row(tenant_state.tenant))
        changes[tables.agents] += [
            rows.agent_row(name, tenant_state.agents[one]) for one in touched.agents
        ]
        changes[tables.leases] += [
            rows.lease_row(name, tenant_state.leases[one]) for one in touched.leases
        ]
        changes[tables.requests] += [
            rows.request_row(name, tenant_state.requests[one]) for one in touched.requests
        ]
        changes[tables.votes] += [
            rows.vote_row(name, tenant_state.requests[request].votes[voter])
            for request, voter in touched.votes
        ]
        changes[tables.configs] += [
            rows.config_row(name, one, tenant_state.settings[one]) for one in touched.settings
        ]
        changes[tables.keys] += [rows.key_row(name, tenant_state.keys[one]) for one in touched.keys]
        changes[tables.notices] += [
            rows.notification_row(name, one) for one in touched.notifications
        ]
        changes[tables.holdings] += [
            rows.holding_row(name, one) for one in touched.holdings.items()
        ]
        if touched.counts:
            changes[tables.counts].append(rows.counts_row(name, touched.counts))
    # Ends before beginnings: a contact's next lease may stand in the same batch.
    changes[tables.leases].sort(key=lambda values: values[-1] is None)
    return changes


class _Queries:
    """Built once; each takes any number of keys in one parameter."""

    def __init__(self, backend: Database) -> None:
        self._backend = backend
        agents, leases = tables.agents, tables.leases
        requests, votes = tables.requests, tables.votes
        configs, keys = tables.configs, tables.keys
        live = leases.c.ended_at.is_(None)
        # Spelled out: a bound status would hide the partial index from the planner.
        active: ColumnElement[bool] = literal_column("agents.status = 'active'")
        in_tenant = (tables.active_agent_tenant,)
        self.last_notifications_by_id = self._last_notifications()
        self.last_notifications_by_name = self._last_notifications_by_name()
        self.electorate = self._query(agents, select(agents), in_tenant, active)
        self.agents_by_id = self._named(agents.c.tenant, agents.c.id)
        self.agents_by_name = self._named(agents.c.tenant, agents.c.name_key)
        self.leases_by_contact = self._named(leases.c.tenant, leases.c.contact_key, where=live)
        self.leases_by_id = self._named(leases.c.tenant, leases.c.id)
        by_holder = (tables.lease_tenant_compared, leases.c.agent_id)
        self.leases_by_holder = self._query(leases, select(leases), by_holder, live)
        self.holders_by_contact = self._holders(leases.c.tenant, leases.c.contact_key)
        self.holders_by_lease = self._holders(leases.c.tenant, leases.c.id)
        self.requests_by_id = self._named(requests.c.tenant, requests.c.id)
        self.votes_by_request = self._without_reasons()
        self.votes_by_voter = self._named(votes.c.tenant, votes.c.request_id, votes.c.agent_id)
        self.votes_by_name = self._votes_by_name()
        self.configs_by_agent = self._named(configs.c.tenant, configs.c.agent_id)
        self.keys_by_id = self._named(keys.c.tenant, keys.c.id)
        self.tenants_by_id = self._named(tables.tenants.c.id)
        self.counts_by_tenant = self._named(tables.counts.c.tenant)
        self.holdings_by_id = self._named(tables.holdings.c.tenant, tables.holdings.c.agent_id)
        self.holdings_by_name = self._holdings_by_name()
        self.upserts = {
            table: Query(upsert(table, backend.dialect.name), backend.dialect) for table in _TABLES
        }

    def _named(self, *columns: Column[Any], where: ColumnElement[Any] | None = None) -> Query:
        """The rows whose ``columns`` are among those asked for."""
        table = columns[0].table
        return self._query(table, select(table), columns, where)

    def _holders(self, *columns: Column[Any]) -> Query:
        """The agents that hold the live leases whose ``columns`` are among those asked for."""
        agents, leases = tables.agents, tables.leases
        holds = and_(agents.c.tenant == leases.c.tenant, agents.c.id == leases.c.agent_id)
        live = and_(leases.c.ended_at.is_(None), holds)
        return self._query(leases, select(agents).distinct(), columns, live)

    def _last_notifications(self) -> Query:
        """The last sequence of which each of those asked for was told; null if there is none."""
        asked, (tenant, agent_id) = self._backend.rows("asked", 2)
        last = _last_notification(tenant, agent_id).correlate(asked).scalar_subquery()
        found = select(tenant.label("tenant"), agent_id.label("agent_id"), last.label("sequence"))
        return Query(found.select_from(asked), self._backend.dialect)

    def _last_notifications_by_name(self) -> Query:
        agents = tables.agents
        last = _last_notification(agents.c.tenant, agents.c.id).correlate(agents).scalar_subquery()
        return self._of_named_agents(last.label("sequence"))

    def _without_reasons(self) -> Query:
        """All votes of a request: nothing is decided by why others voted so, and it may be long."""
        votes = tables.votes
        found = select(*tables.without(votes.c.reason))
        return self._query(votes, found, (votes.c.tenant, votes.c.request_id), None)

    def _votes_by_name(self) -> Query:
        agents, votes = tables.agents, tables.votes
        theirs = and_(votes.c.tenant == agents.c.tenant, votes.c.agent_id == agents.c.id)
        named = (agents.c.tenant, votes.c.request_id, agents.c.name_key)
        return self._query(agents.join(votes, theirs), select(votes), named, None)

    def _holdings_by_name(self) -> Query:
        """One by one for each name: joined, a database may begin with all holdings of a tenant."""
        agents, holdings = tables.agents, tables.holdings
        theirs = and_(holdings.c.tenant == agents.c.tenant, holdings.c.agent_id == agents.c.id)
        held = select(holdings.c.live_leases).where(theirs).correlate(agents).scalar_subquery()
        return self._of_named_agents(held.label("live_leases"))

    def _of_named_agents(self, what: Label[int]) -> Query:
        agents = tables.agents
        found = select(agents.c.tenant, agents.c.id.label("agent_id"), what)
        return self._query(agents, found, (agents.c.tenant, agents.c.name_key), None)

    def _query(
        self,
        table: FromClause,
        statement: Select[Any],
        columns: Sequence[ColumnElement[Any]],
        where: ColumnElement[Any] | None,
    ) -> Query:
        asked, cells = self._backend.rows("asked", len(columns))
        same = and_(*(column == cell for column, cell in zip(columns, cells, strict=True)))
        statement = statement.select_from(asked.join(table, same))
        if where is not None:
            statement = statement.where(where)
        return Query(statement, self._backend.dialect)


def _last_notification(tenant: ColumnElement[str], agent_id: ColumnElement[str]) -> Select[Any]:
    told = tables.notices
    last = select(func.max(told.c.sequence))
    return last.where(told.c.tenant == tenant, told.c.agent_id == agent_id)


def upsert(table: Table, dialect: str) -> Insert:
    """Insert, or replace the row of the same primary key, or add to it what is counted."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    others = [column for column in table.columns if not column.primary_key]
    if not others:
        return insert.on_conflict_do_nothing()
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={
            column.name: column + new[column.name]
            if column.info.get(tables.ADDED)
            else new[column.name]
            for column in others
        },
    )
