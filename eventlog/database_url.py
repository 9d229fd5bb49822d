"""From a URL to the database that it names."""

from pathlib import Path

from quorate.eventlog.database import Database
from quorate.eventlog.sqlite.database import SqliteDatabase

SQLITE_SCHEMES = ("sqlite+aiosqlite:///", "sqlite:///")
POSTGRES_SCHEME = "postgresql+asyncpg://"


class UnknownDatabase(Exception):
    """The URL names no database that Quorate can use; the message says which it can."""


def is_postgres(url: str) -> bool:
    return url.startswith(POSTGRES_SCHEME)


def sqlite_path(url: str) -> Path | None:
    """The file that a URL of SQLite names; None for any other URL."""
    for scheme in SQLITE_SCHEMES:
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme)).expanduser().resolve()
    return None


def create_database(
    url: str, *, password_file: Path | None = None, no_statement_timeout: bool = False
) -> Database:
    """The back end for ``url``, not opened yet; raises UnknownDatabase.

    ``patient`` is for long work that nobody waits for an answer of, such as a rebuild: its
    statements are not cut off.
    """
    if (path := sqlite_path(url)) is not None:
        return SqliteDatabase(path)
    if not is_postgres(url):
        scheme = url.partition(":")[0]
        raise UnknownDatabase(
            f"a database URL begins with {SQLITE_SCHEMES[0]} or {POSTGRES_SCHEME}, not {scheme!r}"
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
