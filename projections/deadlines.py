"""What fell due and is not recorded yet, found by index: work for the timer."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, literal_column, select

from quorate.domain.coordination.consensus import SettleRequest
from quorate.domain.coordination.leases import SettleLease
from quorate.domain.identity.agents import SettleAgent
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.tables import agents, leases, requests

OVERDUE_PER_LOOK_MAX = 500


@record
class Overdue:
    """A command that, once decided, finds its fact recorded: about so many events."""

    tenant: str
    command: SettleAgent | SettleLease | SettleRequest
    events: int = 1


class DueAggregates:
    def __init__(self, log: EventStore) -> None:
        dialect = log.backend.dialect
        now = bindparam("now", type_=agents.c.active_until.type)
        held = (
            select(func.count())
            .where(leases.c.agent_id == agents.c.id, leases.c.ended_at.is_(None))
            .scalar_subquery()
        )
        lapsed = select(agents.c.tenant, agents.c.id, held.label("held")).where(
            # Spelled out: a bound status would hide the partial index from the planner.
            literal_column("agents.status = 'active'"),
            agents.c.active_until < now,
        )
        expired = select(leases.c.tenant, leases.c.id).where(
            leases.c.ended_at.is_(None), leases.c.expires_at <= now
        )
        timed_out = select(requests.c.tenant, requests.c.id).where(
            literal_column("requests.status = 'pending'"), requests.c.timeout_at <= now
        )
        limit = OVERDUE_PER_LOOK_MAX
        self._lapsed = Query(lapsed.order_by(agents.c.active_until).limit(limit), dialect)
        self._expired = Query(expired.order_by(leases.c.expires_at).limit(limit), dialect)
        self._timed_out = Query(timed_out.order_by(requests.c.timeout_at).limit(limit), dialect)
        self._log = log

    async def find(self, now: Timestamp) -> Sequence[Overdue]:
        """At most OVERDUE_PER_LOOK_MAX of each kind, the oldest first."""
        values = {"now": now}
        async with self._log.read() as session:
            lapsed = await session.fetch(self._lapsed, values)
            expired = await session.fetch(self._expired, values)
            timed_out = await session.fetch(self._timed_out, values)
        return [
            *(
                Overdue(tenant=r.tenant, command=SettleAgent(agent_id=r.id), events=1 + r.held)
                for r in lapsed
            ),
            *(Overdue(tenant=r.tenant, command=SettleLease(lease_id=r.id)) for r in expired),
            *(Overdue(tenant=r.tenant, command=SettleRequest(request_id=r.id)) for r in timed_out),
        ]
