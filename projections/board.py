"""What readers see, kept in step with the log: the port that the log writes through.

``load`` and ``save`` run inside the transaction that appends. Nothing is kept in memory between
two batches, so any number of processes may share a database and a restart needs no warm-up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Insert, Table, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from quorate.domain.instants import Instant
from quorate.domain.situation import Situation
from quorate.eventlog.backend import Backend
from quorate.eventlog.projection import Wanted
from quorate.eventlog.session import Query, Session
from quorate.projections import rows, tables

Pair = tuple[str, str]


class Board:
    """The projections of one database."""

    def __init__(self, backend: Backend) -> None:
        self._queries = _Queries(backend)

    # -- Loading -------------------------------------------------------------

    async def load(
        self, session: Session, wanted: Mapping[str, Wanted], now: Instant
    ) -> dict[str, Situation]:
        situations = {tenant: Situation() for tenant in wanted}
        load = _Load(session, self._queries, situations)
        await load.agents(self._queries.agents_by_id, _pairs(wanted, "agents"))
        await load.agents(self._queries.agents_by_name, _pairs(wanted, "agent_names"))
        await load.electorates([name for name, one in wanted.items() if one.electorate], now)
        await load.leases(self._queries.leases_by_contact, _pairs(wanted, "contacts"))
        await load.leases(self._queries.leases_by_id, _pairs(wanted, "leases"))
        await load.agents(self._queries.agents_by_id, load.unknown_holders())
        await load.leases(self._queries.leases_by_holder, load.overdue_agents(now))
        await load.requests(_pairs(wanted, "requests"))
        await load.settings(_pairs(wanted, "settings"))
        await load.keys(_pairs(wanted, "keys"))
        await load.tenants([name for name, one in wanted.items() if one.tenant])
        return situations

    # -- Saving --------------------------------------------------------------

    async def save(
        self, session: Session, situations: Mapping[str, Situation]
    ) -> None:
        for table, values in _changes(situations).items():
            if values:
                await session.write(self._queries.upserts[table], values)


class _Load:
    """One batch's look-ups, each one statement for all tenants, and none where nothing is asked."""

    def __init__(
        self,
        session: Session,
        queries: "_Queries",
        situations: dict[str, Situation],
    ) -> None:
        self._session = session
        self._queries = queries
        self._situations = situations

    async def _rows(self, query: Query, asked: Sequence[Sequence[str]]) -> Sequence[Any]:
        if not asked:
            return ()
        return await self._session.fetch(query, {"asked": orjson.dumps(asked).decode()})

    async def agents(self, query: Query, asked: Sequence[Pair]) -> None:
        for row in await self._rows(query, asked):
            self._situations[row.tenant].put_agent(rows.agent_of(row))

    async def electorates(self, tenants: Sequence[str], now: Instant) -> None:
        for tenant in tenants:
            values = {"tenant": tenant, "now": now}
            for row in await self._session.fetch(self._queries.electorate, values):
                self._situations[tenant].put_agent(rows.agent_of(row))

    async def leases(self, query: Query, asked: Sequence[Pair]) -> None:
        for row in await self._rows(query, asked):
            self._situations[row.tenant].put_lease(rows.lease_of(row))

    def unknown_holders(self) -> Sequence[Pair]:
        return [
            (tenant, lease.agent_id)
            for tenant, situation in self._situations.items()
            for lease in situation.leases.values()
            if lease.agent_id not in situation.agents
        ]

    def overdue_agents(self, now: Instant) -> Sequence[Pair]:
        return [
            (tenant, agent.id)
            for tenant, situation in self._situations.items()
            for agent in situation.agents.values()
            if agent.overdue(now)
        ]

    async def requests(self, asked: Sequence[Pair]) -> None:
        votes: dict[Pair, dict[str, Any]] = {}
        for row in await self._rows(self._queries.votes_by_request, asked):
            votes.setdefault((row.tenant, row.request_id), {})[row.agent_id] = rows.vote_of(row)
        for row in await self._rows(self._queries.requests_by_id, asked):
            request = rows.request_of(row, votes.get((row.tenant, row.id), {}))
            self._situations[row.tenant].requests[row.id] = request

    async def settings(self, asked: Sequence[Pair]) -> None:
        for row in await self._rows(self._queries.configs_by_agent, asked):
            self._situations[row.tenant].settings[row.agent_id] = rows.settings_of(row)

    async def keys(self, asked: Sequence[Pair]) -> None:
        for row in await self._rows(self._queries.keys_by_id, asked):
            self._situations[row.tenant].keys[row.id] = rows.key_of(row)

    async def tenants(self, asked: Sequence[str]) -> None:
        for row in await self._rows(self._queries.tenants_by_id, [(name,) for name in asked]):
            self._situations[row.id].tenant = rows.tenant_of(row)


def _pairs(wanted: Mapping[str, Wanted], what: str) -> Sequence[Pair]:
    return [(tenant, name) for tenant, one in wanted.items() for name in getattr(one, what)]


def _changes(situations: Mapping[str, Situation]) -> dict[Table, list[rows.Values]]:
    changes: dict[Table, list[rows.Values]] = {table: [] for table in tables.metadata.sorted_tables}
    for name, situation in situations.items():
        touched = situation.touched
        if touched.tenant and situation.tenant is not None:
            changes[tables.tenants].append(rows.tenant_row(situation.tenant))
        changes[tables.agents] += [
            rows.agent_row(name, situation.agents[one]) for one in touched.agents
        ]
        changes[tables.leases] += [
            rows.lease_row(name, situation.leases[one]) for one in touched.leases
        ]
        changes[tables.requests] += [
            rows.request_row(name, situation.requests[one]) for one in touched.requests
        ]
        changes[tables.votes] += [
            rows.vote_row(name, situation.requests[request].votes[voter])
            for request, voter in touched.votes
        ]
        changes[tables.configs] += [
            rows.config_row(name, one, situation.settings[one]) for one in touched.settings
        ]
        changes[tables.keys] += [rows.key_row(name, situation.keys[one]) for one in touched.keys]
    # Ends before beginnings: a contact's next lease may stand in the same batch.
    changes[tables.leases].sort(key=lambda values: values[-1] is None)
    return changes


class _Queries:
    """Built once; each takes any number of keys in one parameter."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        agents, leases = tables.agents, tables.leases
        requests, votes = tables.requests, tables.votes
        configs, keys = tables.configs, tables.keys
        live = leases.c.ended_at.is_(None)
        electorate = select(agents).where(
            agents.c.tenant == bindparam("tenant"),
            agents.c.status == "active",
            agents.c.active_until >= bindparam("now"),
        )
        self.electorate = Query(electorate, backend.dialect)
        self.agents_by_id = self._named(agents.c.tenant, agents.c.id)
        self.agents_by_name = self._named(agents.c.tenant, agents.c.name_key)
        self.leases_by_contact = self._named(leases.c.tenant, leases.c.contact_key, where=live)
        self.leases_by_id = self._named(leases.c.tenant, leases.c.id)
        self.leases_by_holder = self._named(leases.c.tenant, leases.c.agent_id, where=live)
        self.requests_by_id = self._named(requests.c.tenant, requests.c.id)
        self.votes_by_request = self._named(votes.c.tenant, votes.c.request_id)
        self.configs_by_agent = self._named(configs.c.tenant, configs.c.agent_id)
        self.keys_by_id = self._named(keys.c.tenant, keys.c.id)
        self.tenants_by_id = self._named(tables.tenants.c.id)
        self.upserts = {
            table: Query(upsert(table, backend.dialect.name), backend.dialect)
            for table in tables.metadata.sorted_tables
        }

    def _named(self, *columns: Column[Any], where: ColumnElement[bool] | None = None) -> Query:
        """The rows whose ``columns`` are among those asked for."""
        asked, cells = self._backend.rows("asked", len(columns))
        same = and_(*(column == cell for column, cell in zip(columns, cells, strict=True)))
        table = columns[0].table
        statement = select(table).select_from(asked.join(table, same))
        if where is not None:
            statement = statement.where(where)
        return Query(statement, self._backend.dialect)


def upsert(table: Table, dialect: str) -> Insert:
    """Insert, or replace the row of the same primary key."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    others = [column.name for column in table.columns if not column.primary_key]
    return insert.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={name: insert.excluded[name] for name in others},
    )
