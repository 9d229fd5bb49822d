"""A log that another process may be writing, opened so that nothing in it can be changed.

No writing connection is ever opened here: closing one could checkpoint, and only the service may.
"""

from collections.abc import Sequence
from urllib.parse import quote

from sqlalchemy import MetaData

from quorate.eventlog.session import Broken
from quorate.eventlog.sqlite import _READER_PRAGMAS, SqliteBackend


class SqliteSnapshot(SqliteBackend):
    """The same file, for one reader."""

    async def open(
        self, metadatas: Sequence[MetaData] = (), append_only: Sequence[str] = ()
    ) -> None:
        """Nothing is created or mended: the first query tells what is missing."""
        del metadatas, append_only
        reader = await self._connect(f"file:{quote(str(self.path))}?mode=ro", _READER_PRAGMAS)
        self._readers.append(reader)
        self._idle_readers.put_nowait(reader)

    async def reopen(self) -> None:
        message = "this log was opened to be read"
        raise Broken(message)
