"""Look up agents' names by their ids, also of agents that only a key names so far.

* Found names are cached. Only the case of a name can change, and names ignore case.
* Callers that ask for one id at the same time share a read, and get its result in the order of
  their calls: commands of an agent that wait for its name keep their order.
* Ids without an agent are not cached: each call queries the database again.
"""

import asyncio
from collections.abc import Collection, Mapping

import orjson
from sqlalchemy import and_, bindparam, select

from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.tables import agents

CACHED_NAMES_MAX = 16_384


class AgentNames:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._cache: dict[tuple[str, str], str] = {}
        self._reading: dict[tuple[str, str], asyncio.Task[str | None]] = {}
        asked, (agent_id,) = log.database.rows("asked", 1)
        is_asked = and_(agents.c.tenant == bindparam("tenant"), agents.c.id == agent_id)
        statement = select(agents.c.id, agents.c.name).select_from(asked.join(agents, is_asked))
        self._query = Query(statement, log.database.dialect)

    def cached(self, tenant: str, agent_id: str) -> str | None:
        return self._cache.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        key = (tenant, agent_id)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(tenant, agent_id))
            return await asyncio.shield(reading)
        if (name := await asyncio.shield(reading)) is not None:
            return name
        # The other read may have begun before the agent was registered.
        return (await self.look_up_all(tenant, (agent_id,))).get(agent_id)

    async def _read(self, tenant: str, agent_id: str) -> str | None:
        try:
            return (await self.look_up_all(tenant, (agent_id,))).get(agent_id)
        finally:
            del self._reading[tenant, agent_id]

    async def look_up_all(self, tenant: str, agent_ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of those that exist, by their ids."""
        found: dict[str, str] = {}
        missing: list[list[str]] = []
        for id_ in agent_ids:
            if (name := self.cached(tenant, id_)) is not None:
                found[id_] = name
            else:
                missing.append([id_])
        if missing:
            values = {"tenant": tenant, "asked": orjson.dumps(missing).decode()}
            async with self._log.read() as transaction:
                rows = await transaction.fetch(self._query, values)
            if len(self._cache) + len(rows) > CACHED_NAMES_MAX:
                self._cache.clear()
            for row in rows:
                found[row.id] = self._cache[tenant, row.id] = str(row.name)
        return found
