"""Look up an agent's name by its id, also for an agent that only a key names so far.

* Found names are cached. Only the case of a name can change, and names ignore case.
* Ids without an agent are not cached: each call queries the database again.
"""

from sqlalchemy import bindparam, select

from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.tables import agents

CACHED_NAMES_MAX = 16_384


class AgentNames:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._cache: dict[tuple[str, str], str] = {}
        statement = select(agents.c.name).where(
            agents.c.tenant == bindparam("tenant"), agents.c.id == bindparam("id")
        )
        self._query = Query(statement, log.database.dialect)

    def cached(self, tenant: str, agent_id: str) -> str | None:
        return self._cache.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._query, {"tenant": tenant, "id": agent_id})
        if not rows:
            return None
        if len(self._cache) >= CACHED_NAMES_MAX:
            self._cache.clear()
        name = str(rows[0].name)
        self._cache[tenant, agent_id] = name
        return name
