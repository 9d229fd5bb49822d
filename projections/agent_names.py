"""An agent's name by its id, also of an agent that so far only a key names.

A name once found is remembered: it never changes but in its case, which makes no difference to
who is meant. What was not found is looked for again.
"""

from sqlalchemy import bindparam, select

from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.tables import agents

NAMES_REMEMBERED_MAX = 16_384


class AgentNames:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._found: dict[tuple[str, str], str] = {}
        statement = select(agents.c.name).where(
            agents.c.tenant == bindparam("tenant"), agents.c.id == bindparam("id")
        )
        self._query = Query(statement, log.database.dialect)

    def remembered(self, tenant: str, agent_id: str) -> str | None:
        return self._found.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._query, {"tenant": tenant, "id": agent_id})
        if not rows:
            return None
        if len(self._found) >= NAMES_REMEMBERED_MAX:
            self._found.clear()
        name = str(rows[0].name)
        self._found[tenant, agent_id] = name
        return name
