"""Which agent is notified of which event: an index from recipients to the log.

The content of a notification is in its event. The table keeps the name ``notices``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ColumnElement, Select, Table, func, select

from quorate.domain.identity.agents import LAST_NOTIFICATION
from quorate.domain.shared.state import TenantState
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import LookupPlan, States, TableRows

TABLE = Table(
    "notices",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),  # Or EVERYONE.
    Column("sequence", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, notified: tuple[str, int]) -> Values:
    return (tenant, *notified)


def from_row(row: Row) -> tuple[str, int]:
    return (row.agent_id, row.sequence)


def _put(states: States, found: Sequence[Row]) -> None:
    for row in found:
        if row.sequence is not None:
            states[row.tenant].put_last_notification(row.agent_id, row.sequence)


def _last(tenant: ColumnElement[str], agent_id: ColumnElement[str]) -> Select[tuple[int]]:
    last = select(func.max(TABLE.c.sequence))
    return last.where(TABLE.c.tenant == tenant, TABLE.c.agent_id == agent_id)


def _last_by_id(database: Database) -> Query:
    """Select the last sequence that notified each of the agents asked for, or null."""
    asked, (tenant, agent_id) = database.rows("asked", 2)
    last = _last(tenant, agent_id).correlate(asked).scalar_subquery()
    found = select(tenant.label("tenant"), agent_id.label("agent_id"), last.label("sequence"))
    return Query(found.select_from(asked), database.dialect)


@dataclass(frozen=True)
class Recipients:
    """The read model of recipients."""

    tables: Sequence[Table] = (TABLE,)

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        owners = agents.TABLE
        last = _last(owners.c.tenant, owners.c.id).correlate(owners).scalar_subquery()
        by_name = agents.query_by_name(database, last.label("sequence"))
        queries = {"id": _last_by_id(database), "name": by_name}
        return [
            LookupPlan(
                read=f"{LAST_NOTIFICATION}.{index}", brings="sequence", query=query, put=_put
            )
            for index, query in queries.items()
        ]

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        yield TABLE, [to_row(tenant, one) for one in state.notified]

    def final(self, tenant: str, state: TenantState) -> TableRows:
        """A notification is never revoked: all rows since the last call are final."""
        return self.changes(tenant, state)

    def all(self, tenant: str, state: TenantState) -> TableRows:
        return self.changes(tenant, state)


RECIPIENTS = Recipients()
