"""A log that another process may be writing, opened so that nothing in it can be changed.

No writing connection is ever opened here: closing one could checkpoint, and only the service may.
"""

from quorate.eventlog.database import Schema
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import DatabaseUnavailable


class SqliteSnapshot(SqliteDatabase):
    """The same file, for one reader."""

    async def open(self, schema: Schema | None = None) -> None:
        """Nothing is created or mended: older tables are refused."""
        if schema is not None:
            await self.inspect(schema.check)
        await self._open_reader()

    async def reopen(self) -> None:
        message = "this log was opened to be read"
        raise DatabaseUnavailable(message)
