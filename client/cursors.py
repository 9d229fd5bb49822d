"""Where a consumer of notifications stores the sequence of the last one that it handled."""

import asyncio
from pathlib import Path
from typing import Protocol

from quorate.runtime.atomic_file import write_atomically


class CursorStore(Protocol):
    """Implement this to store the cursor in your own database."""

    async def load(self) -> int | None:
        """Return the stored sequence; None if there is none yet."""

    async def save(self, sequence: int) -> None:
        """Store the sequence of a notification that is handled."""


class MemoryCursor:
    """Keeps the cursor in this process only; a new process starts with new notifications."""

    def __init__(self, sequence: int | None = None) -> None:
        self._sequence = sequence

    async def load(self) -> int | None:
        return self._sequence

    async def save(self, sequence: int) -> None:
        self._sequence = sequence


class FileCursor:
    """Keeps the cursor in a file, which is replaced atomically. Only one process may use a file."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"FileCursor({str(self._path)!r})"

    async def load(self) -> int | None:
        """Return the stored sequence. Raises ValueError if the file contains something else."""
        return await asyncio.to_thread(self._read)

    async def save(self, sequence: int) -> None:
        await asyncio.to_thread(self._write, sequence)

    def _read(self) -> int | None:
        try:
            return int(self._path.read_text("ascii"))
        except FileNotFoundError:
            return None

    def _write(self, sequence: int) -> None:
        with write_atomically(self._path) as file:
            file.write(b"%d\n" % sequence)
