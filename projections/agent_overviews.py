"""Queries over the agents of all tenants, for the tasks of the service."""

from collections.abc import Mapping, Sequence

from sqlalchemy import BindParameter, and_, bindparam, exists, func, or_, select

from quorate.domain.identity.agent_departures import ForgetAgent
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.identity.agents import is_active, is_inactive
from quorate.projections.identity.api_keys import is_usable, tenant_compared
from quorate.projections.tables import agents, keys

INACTIVE_PER_QUERY_MAX = 500
WINDOWS_LISTED_MAX = 10


@record
class InactiveAgent:
    """An agent that was inactive for long, and the command that removes its name."""

    tenant: str
    command: ForgetAgent


class AgentOverviews:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        dialect = log.database.dialect
        its_keys = and_(tenant_compared == agents.c.tenant, keys.c.agent_id == agents.c.id)
        before: BindParameter[int] = bindparam("before")
        may_be_valid = or_(keys.c.expires_at.is_(None), keys.c.expires_at >= before)
        inactive = select(agents.c.tenant, agents.c.id).where(
            is_inactive,
            agents.c.active_until < before,
            ~exists().where(its_keys, is_usable, may_be_valid),
        )
        oldest = inactive.order_by(agents.c.active_until).limit(INACTIVE_PER_QUERY_MAX)
        self._inactive = Query(oldest, dialect)
        window = agents.c.heartbeat_window
        others = select(window, func.count().label("agents")).where(
            is_active, window != bindparam("window")
        )
        self._windows = Query(
            others.group_by(window).order_by(window).limit(WINDOWS_LISTED_MAX), dialect
        )

    async def find_inactive(self, before: Timestamp) -> Sequence[InactiveAgent]:
        """Return agents without a valid key that were inactive before this time, oldest first."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._inactive, {"before": before})
        return [
            InactiveAgent(
                tenant=row.tenant, command=ForgetAgent(agent_id=row.id, inactive_since=before)
            )
            for row in rows
        ]

    async def count_other_windows(self, window: int) -> Mapping[int, int]:
        """Return the heartbeat windows of active agents that differ, and how many have each."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._windows, {"window": window})
        return {row.heartbeat_window: row.agents for row in rows}
