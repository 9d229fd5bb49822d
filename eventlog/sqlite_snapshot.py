"""A log that another process may be writing, opened so that nothing in it can be changed.

No writing connection is ever opened here: closing one could checkpoint, and only the service may.
"""

from collections.abc import Sequence

from sqlalchemy import MetaData

from quorate.eventlog.session import Broken
from quorate.eventlog.sqlite import SqliteBackend


class SqliteSnapshot(SqliteBackend):
    """The same file, for one reader."""

    async def open(
        self, metadatas: Sequence[MetaData] = (), append_only: Sequence[str] = ()
    ) -> None:
        """Nothing is created or mended: the first query tells what is missing."""
        del metadatas, append_only
        await self._open_reader()

    async def reopen(self) -> None:
        message = "this log was opened to be read"
        raise Broken(message)
