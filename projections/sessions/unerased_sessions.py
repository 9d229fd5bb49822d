"""Find what is left of deleted sessions and of removed agents, as commands that erase it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, exists, select

from quorate.domain.sessions.session_commands import DeleteOrphanedSession
from quorate.domain.sessions.session_sending import EraseDeletedSession
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.identity import agents
from quorate.projections.sessions import session_messages as message_rows
from quorate.projections.sessions import session_values as value_rows
from quorate.projections.sessions import sessions as session_rows

SESSIONS_AT_ONCE_MAX = 50
BODIES_AT_ONCE_MAX = 100  # Of one session, in one command.
_sessions, _messages, _values = session_rows.TABLE, message_rows.TABLE, value_rows.TABLE


@record
class Erasure:
    tenant: str
    command: Command


class UnerasedSessions:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._dialect = log.database.dialect
        deleted = select(_sessions.c.tenant, _sessions.c.id).where(session_rows.has_bodies)
        deleted = deleted.order_by(_sessions.c.deleted_at)
        self._deleted = self._query(deleted.limit(SESSIONS_AT_ONCE_MAX))
        owners = agents.TABLE
        owns = and_(owners.c.tenant == _sessions.c.tenant, owners.c.id == _sessions.c.owner_id)
        orphaned = select(_sessions.c.tenant, _sessions.c.id).where(
            session_rows.is_listed, ~exists(select(owners.c.id).where(owns))
        )
        self._orphaned = self._query(orphaned.limit(SESSIONS_AT_ONCE_MAX))
        of_message = and_(
            _messages.c.tenant == _sessions.c.tenant, _messages.c.session_id == _sessions.c.id
        )
        self._messages = self._of_session(
            select(_messages.c.id)
            .where(_messages.c.erased_at.is_(None))
            .select_from(_sessions.join(_messages, of_message))
        )
        of_value = and_(
            _values.c.tenant == _sessions.c.tenant, _values.c.session_id == _sessions.c.id
        )
        self._values = self._of_session(
            select(_values.c.id).select_from(_sessions.join(_values, of_value))
        )

    async def find_orphaned(self) -> Sequence[Erasure]:
        """Return sessions whose owner was removed, to be deleted. It reads all sessions."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._orphaned, {})
        return [
            Erasure(tenant=row.tenant, command=DeleteOrphanedSession(session_id=row.id))
            for row in rows
        ]

    async def find_deleted(self) -> Sequence[Erasure]:
        """Return the next bodies of deleted sessions, or that a session has none."""
        found: list[Erasure] = []
        async with self._log.read() as transaction:
            for row in await transaction.fetch(self._deleted, {}):
                key = {"its_tenant": row.tenant, "its_id": row.id}
                messages = await transaction.fetch(self._messages, key)
                values = await transaction.fetch(self._values, key)
                command = EraseDeletedSession(
                    session_id=row.id,
                    message_ids=tuple([one.id for one in messages]),
                    value_ids=tuple([one.id for one in values]),
                )
                found.append(Erasure(tenant=row.tenant, command=command))
        return found

    def _of_session(self, statement: Select[Any]) -> Query:
        return self._query(
            statement.where(
                _sessions.c.tenant == bindparam("its_tenant"),
                _sessions.c.id == bindparam("its_id"),
            ).limit(BODIES_AT_ONCE_MAX)
        )

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)
