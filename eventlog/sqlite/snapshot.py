"""Open a SQLite log read-only, while another process may write it.

It opens no write connection: closing one could start a checkpoint, which only the service may do.
"""

from quorate.eventlog.database import Schema
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import DatabaseUnavailable


class SqliteSnapshot(SqliteDatabase):
    """The database file with one read connection."""

    async def open(self, schema: Schema | None = None) -> None:
        """Open the read connection; raises SchemaOutdated instead of creating tables."""
        self._files.require_one_name()
        if schema is not None:
            await self.inspect(schema.check)
        await self._open_reader()

    async def verify_files(self) -> None:
        """Verify nothing: a reader loses no commits."""

    async def reopen(self) -> None:
        message = "the log is open read-only"
        raise DatabaseUnavailable(message)
