"""Store the sessions and login links of the console: rows by the hash of their secret.

* They are no events and concern no aggregate: the log does not record who looks at a page.
* A session belongs to a key and not to a tenant: its id finds it, as the key's id finds a key.
* Each addition deletes some rows that ended, and the oldest of a key that has too many. So the
  table stays small.
* What writes is a record, so that another process can send it to the one that writes.
"""

from typing import Literal, TypeAlias

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.commands import Commands
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
    def __init__(self, log: EventStore, commands: Commands) -> None:
        self._log = log
        self._commands = commands
        self._dialect = type(log.database.dialect)

    async def find(self, secret_hash: str, kind: Kind, now: Timestamp) -> StoredSession | None:
        """Return what has this hash and has not ended."""
        async with self._log.read() as transaction:
            return await _statements(self._dialect).find(transaction, secret_hash, kind, now)

    async def add(self, session: StoredSession, now: Timestamp) -> None:
        await self._commands.run_chore(_Add(dialect=self._dialect, session=session, now=now))

    async def replace(self, old: StoredSession, new: StoredSession, now: Timestamp) -> bool:
        """Delete one and add the other, in one transaction; return False if the old is gone."""
        replace = _Replace(dialect=self._dialect, old=old, new=new, now=now)
        return bool(await self._commands.run_chore(replace))

    async def remove(self, secret_hash: str) -> None:
        await self._commands.run_chore(_Remove(dialect=self._dialect, secret_hash=secret_hash))


@record
class _Add:
    dialect: type[Dialect]
    session: StoredSession
    now: Timestamp

    async def __call__(self, transaction: DatabaseTransaction) -> None:
        await _statements(self.dialect).add(transaction, self.session, self.now)


@record
class _Replace:
    dialect: type[Dialect]
    old: StoredSession
    new: StoredSession
    now: Timestamp

    async def __call__(self, transaction: DatabaseTransaction) -> bool:
        statements, old = _statements(self.dialect), self.old
        found = await statements.find(transaction, old.secret_hash, old.kind, self.now)
        if found is None:
            return False
        await statements.remove(transaction, old.secret_hash)
        await statements.add(transaction, self.new, self.now)
        return True


@record
class _Remove:
    dialect: type[Dialect]
    secret_hash: str

    async def __call__(self, transaction: DatabaseTransaction) -> None:
        await _statements(self.dialect).remove(transaction, self.secret_hash)


class _Statements:
    def __init__(self, dialect: Dialect) -> None:
        table = console_sessions
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

    async def find(
        self, transaction: DatabaseTransaction, secret_hash: str, kind: Kind, now: Timestamp
    ) -> StoredSession | None:
        for row in await transaction.fetch(self._find, {"its_hash": secret_hash}):
            if row.kind == kind and row.ends_at > now:
                return StoredSession(**row._asdict())
        return None

    async def remove(self, transaction: DatabaseTransaction, secret_hash: str) -> None:
        await transaction.write(self._delete, [(secret_hash,)])

    async def add(
        self, transaction: DatabaseTransaction, session: StoredSession, now: Timestamp
    ) -> None:
        ended = await transaction.fetch(self._find_ended, {"now": now})
        excess = await transaction.fetch(self._find_excess, {"key_id": session.key_id})
        if gone := dict.fromkeys(row.secret_hash for row in (*ended, *excess)):
            await transaction.write(self._delete, [(one,) for one in gone])
        row = (session.secret_hash, session.kind, session.key_id, session.tenant, session.ends_at)
        await transaction.write(self._insert, [row])


_made: dict[type[Dialect], _Statements] = {}


def _statements(dialect: type[Dialect]) -> _Statements:
    if dialect not in _made:
        _made[dialect] = _Statements(dialect())
    return _made[dialect]
