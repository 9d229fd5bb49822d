"""Store the sessions and login links of the console: rows by the hash of their secret.

* They are no events and concern no aggregate: the log does not record who looks at a page.
* A session belongs to a key and not to a tenant: its id finds it, as the key's id finds a key.
* Each addition deletes some rows that ended, and the oldest of a key that has too many. So the
  table stays small.
"""

from typing import Literal, TypeAlias

from sqlalchemy import bindparam, delete, insert, select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import console_sessions
from quorate.eventlog.transactions import DatabaseTransaction, Query

ENDED_PER_ADDITION_MAX = 100
SESSIONS_PER_KEY_MAX = 32  # With its links.
Kind: TypeAlias = Literal["session", "link"]


@record
class StoredSession:
    secret_hash: str
    kind: Kind
    key_id: str
    tenant: str
    ends_at: Timestamp


class SessionStore:
    def __init__(self, log: EventStore, command_bus: CommandBus) -> None:
        self._log = log
        self._command_bus = command_bus
        table, dialect = console_sessions, log.database.dialect
        this = table.c.secret_hash == bindparam("its_hash")
        ended = select(table.c.secret_hash).where(table.c.ends_at <= bindparam("now"))
        self._find = Query(select(table).where(this), dialect)
        self._insert = Query(insert(table), dialect)
        self._delete = Query(delete(table).where(this), dialect)
        self._find_ended = Query(
            ended.order_by(table.c.ends_at).limit(ENDED_PER_ADDITION_MAX), dialect
        )

        of_key = select(table.c.secret_hash).where(table.c.key_id == bindparam("key_id"))
        newest_first = of_key.order_by(table.c.ends_at.desc(), table.c.secret_hash)
        self._find_excess = Query(
            newest_first.offset(SESSIONS_PER_KEY_MAX - 1).limit(SESSIONS_PER_KEY_MAX), dialect
        )

    async def find(self, secret_hash: str, kind: Kind, now: Timestamp) -> StoredSession | None:
        """Return what has this hash and has not ended."""
        async with self._log.read() as transaction:
            return await self._found(transaction, secret_hash, kind, now)

    async def add(self, session: StoredSession, now: Timestamp) -> None:
        async def add(transaction: DatabaseTransaction) -> None:
            await self._add(transaction, session, now)

        await self._command_bus.run_chore(add)

    async def replace(self, old: StoredSession, new: StoredSession, now: Timestamp) -> bool:
        """Delete one and add the other, in one transaction; return False if the old is gone."""
        was_found = False

        async def replace(transaction: DatabaseTransaction) -> None:
            nonlocal was_found
            found = await self._found(transaction, old.secret_hash, old.kind, now)
            if found is not None:
                was_found = True
                await transaction.write(self._delete, [(old.secret_hash,)])
                await self._add(transaction, new, now)

        await self._command_bus.run_chore(replace)
        return was_found

    async def remove(self, secret_hash: str) -> None:
        async def remove(transaction: DatabaseTransaction) -> None:
            await transaction.write(self._delete, [(secret_hash,)])

        await self._command_bus.run_chore(remove)

    async def _found(
        self, transaction: DatabaseTransaction, secret_hash: str, kind: Kind, now: Timestamp
    ) -> StoredSession | None:
        for row in await transaction.fetch(self._find, {"its_hash": secret_hash}):
            if row.kind == kind and row.ends_at > now:
                return StoredSession(**row._asdict())
        return None

    async def _add(
        self, transaction: DatabaseTransaction, session: StoredSession, now: Timestamp
    ) -> None:
        ended = await transaction.fetch(self._find_ended, {"now": now})
        excess = await transaction.fetch(self._find_excess, {"key_id": session.key_id})
        if gone := dict.fromkeys(row.secret_hash for row in (*ended, *excess)):
            await transaction.write(self._delete, [(one,) for one in gone])
        row = (session.secret_hash, session.kind, session.key_id, session.tenant, session.ends_at)
        await transaction.write(self._insert, [row])
