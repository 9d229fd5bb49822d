"""Look up agents' names by their ids, also of agents that only a key names so far.

* Found names are cached. Only the case of a name can change, and names ignore case.
* Ids without an agent are not cached: each call queries the database again.
"""

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
        asked, (agent_id,) = log.database.rows("asked", 1)
        is_asked = and_(agents.c.tenant == bindparam("tenant"), agents.c.id == agent_id)
        statement = select(agents.c.id, agents.c.name).select_from(asked.join(agents, is_asked))
        self._query = Query(statement, log.database.dialect)

    def cached(self, tenant: str, agent_id: str) -> str | None:
        return self._cache.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        return (await self.look_up_all(tenant, (agent_id,))).get(agent_id)

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
