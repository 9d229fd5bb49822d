"""Create a database adapter from a database URL."""

from pathlib import Path

from quorate.eventlog.database import Database
from quorate.eventlog.sqlite.database import SqliteDatabase

SQLITE_SCHEMES = ("sqlite+aiosqlite:///", "sqlite:///")
POSTGRES_SCHEME = "postgresql+asyncpg://"


class UnknownDatabase(Exception):
    """The URL names no supported database; the message lists the supported ones."""


def is_postgres(url: str) -> bool:
    return url.startswith(POSTGRES_SCHEME)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for any other URL."""
    for scheme in SQLITE_SCHEMES:
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme)).expanduser().resolve()
    return None


def create_database(
    url: str,
    *,
    password_file: Path | None = None,
    no_statement_timeout: bool = False,
    reads_only: bool = False,
) -> Database:
    """Return the database for ``url``, not opened yet; raises UnknownDatabase.

    ``no_statement_timeout`` is for long maintenance work, such as a rebuild. ``reads_only`` is for
    a SQLite file that another process writes.
    """
    if (path := sqlite_path(url)) is not None:
        return SqliteDatabase(path, reads_only=reads_only)
    if not is_postgres(url):
        scheme = url.partition(":")[0]
        raise UnknownDatabase(
            f"A database URL begins with {SQLITE_SCHEMES[0]} or {POSTGRES_SCHEME}, not {scheme!r}"
        )
    try:
        from quorate.eventlog.postgres.database import PostgresDatabase  # noqa: PLC0415 - an extra.
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise UnknownDatabase("PostgreSQL needs: pip install 'quorate[postgres]'") from error
    return PostgresDatabase(
        url, password_file=password_file, no_statement_timeout=no_statement_timeout
    )
