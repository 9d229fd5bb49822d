"""Where a consumer of notifications stores the sequence of the last one that it handled."""

import asyncio
from pathlib import Path
from typing import Protocol, runtime_checkable

from quorate.runtime.atomic_file import write_atomically


class CursorStore(Protocol):
    """Implement this to store the cursor in your own database."""

    async def load(self) -> int | None:
        """Return the stored sequence; None if there is none yet."""

    async def save(self, sequence: int) -> None:
        """Store the sequence of a notification that is handled."""


@runtime_checkable
class LogCursorStore(CursorStore, Protocol):
    """A store that also keeps the id of the log that the sequence is of.

    With it, a consumer notices that the service has another log, also one that has grown beyond the
    cursor.
    """

    async def load_log_id(self) -> str | None:
        """Return the stored log id; None if there is none yet."""

    async def save_log_id(self, log_id: str) -> None:
        """Store the log id; later calls of ``save`` are of this log."""


class MemoryCursor:
    """Keeps the cursor in this process only; a new process starts with new notifications."""

    def __init__(self, sequence: int | None = None, log_id: str | None = None) -> None:
        self._sequence = sequence
        self._log_id = log_id

    async def load(self) -> int | None:
        return self._sequence

    async def save(self, sequence: int) -> None:
        self._sequence = sequence

    async def load_log_id(self) -> str | None:
        return self._log_id

    async def save_log_id(self, log_id: str) -> None:
        self._log_id = log_id


class FileCursor:
    """Keeps the cursor in a file, which is replaced atomically. Only one process may use a file.

    The file has the sequence, and the log id if the service names it. A file of an earlier version
    has the sequence only.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._log_id: str | None = None

    def __repr__(self) -> str:
        return f"FileCursor({str(self._path)!r})"

    async def load(self) -> int | None:
        """Return the stored sequence. Raises ValueError if the file contains something else."""
        return (await asyncio.to_thread(self._read))[0]

    async def save(self, sequence: int) -> None:
        await asyncio.to_thread(self._write, sequence)

    async def load_log_id(self) -> str | None:
        """Return the stored log id. Raises ValueError if the file contains something else."""
        return (await asyncio.to_thread(self._read))[1]

    async def save_log_id(self, log_id: str) -> None:
        sequence, _ = await asyncio.to_thread(self._read)
        self._log_id = log_id
        if sequence is not None:
            await asyncio.to_thread(self._write, sequence)

    def _read(self) -> tuple[int | None, str | None]:
        try:
            sequence, *rest = self._path.read_text("ascii").split()
        except FileNotFoundError:
            return None, None
        self._log_id = rest[0] if rest else None
        return int(sequence), self._log_id

    def _write(self, sequence: int) -> None:
        text = str(sequence) if self._log_id is None else f"{sequence} {self._log_id}"
        with write_atomically(self._path) as file:
            file.write(f"{text}\n".encode("ascii"))


async def load_log_id(store: CursorStore, known: str | None) -> str | None:
    """Return the log id in the store; ``known`` if it keeps none."""
    return await store.load_log_id() if isinstance(store, LogCursorStore) else known


async def save_log_id(store: CursorStore, log_id: str | None) -> str | None:
    """Store the log id if the store keeps one, and return it."""
    if log_id is not None and isinstance(store, LogCursorStore):
        await store.save_log_id(log_id)
    return log_id
