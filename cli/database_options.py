"""Options of the commands that open the database directly.

* SQLite: a command that writes locks the file, so it fails while a service uses it by any path.
* PostgreSQL: services may be running.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.options import DATABASE, data_dir_option
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])
_OPTIONS = (
    data_dir_option("The service's data directory."),
    click.option(
        "--database-url",
        envvar="QUORATE_DATABASE_URL",
        help="Database of the event log, e.g. postgresql+asyncpg://user@host/database or "
        "sqlite+aiosqlite:////path/to/file. [default: quorate.db in the data directory]",
    ),
    click.option(
        "--database-password-file",
        envvar="QUORATE_DATABASE_PASSWORD_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File with the PostgreSQL password.",
    ),
)


@dataclass(frozen=True)
class DatabaseTarget:
    """The database that the command line and the environment name."""

    data_dir: Path
    url: str | None
    password_file: Path | None

    @property
    def path(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        from quorate.eventlog.database_url import sqlite_path

        return self.data_dir / DATABASE if self.url is None else sqlite_path(self.url)

    def adapter(self) -> "Database":
        """Create the database adapter without opening it, and without a statement timeout."""
        from quorate.eventlog.database_url import create_database

        url = f"sqlite:///{self.path}" if self.path is not None else self.url
        assert url is not None
        return create_database(url, password_file=self.password_file, no_statement_timeout=True)

    def lock(self) -> AbstractContextManager[object]:
        """Lock the data directory of its own SQLite log; raises Locked while a service uses it.

        Opening a database to write it locks the file as well, wherever it is.
        """
        from quorate.runtime.process_lock import DataDirLock

        if self.url is not None or not self.data_dir.is_dir():
            return nullcontext()
        return DataDirLock(self.data_dir)

    def require_existing(self) -> None:
        """Raise Failure when the SQLite file is missing; opening it would create an empty one."""
        if self.path is not None and not self.path.is_file():
            raise Failure(f"No event log found at {self.path}")


def database_options(command: Command) -> Command:
    """Add ``--data-dir --database-url --database-password-file``, passed as ``database``."""

    @wraps(command)
    def with_database(**given: Any) -> Any:  # noqa: ANN401 - the values from click.
        database = DatabaseTarget(
            data_dir=given.pop("data_dir").expanduser(),
            url=given.pop("database_url"),
            password_file=given.pop("database_password_file"),
        )
        return command(database=database, **given)

    wrapped: Any = with_database
    for decorate in reversed(_OPTIONS):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # The same command, with options.


@contextmanager
def report_database_errors() -> Iterator[None]:
    """Convert database and log errors inside the block to a Failure with a message."""
    try:
        from quorate.eventlog.archive.files import ArchiveCorrupted, ArchiveNeeded
        from quorate.eventlog.database import DatabaseUnusable, SchemaOutdated
        from quorate.eventlog.database_url import UnknownDatabase
        from quorate.eventlog.event_store import LogCorrupted
        from quorate.eventlog.hash_chain import ChainBroken
        from quorate.eventlog.transactions import DatabaseUnavailable
        from quorate.projections.replay import ReplayFailed
        from quorate.runtime.process_lock import Locked
    except ImportError as error:
        raise Failure(f"{error.name} is missing: pip install 'quorate[server]'") from error
    try:
        yield
    except (ChainBroken, LogCorrupted, ReplayFailed) as damage:
        raise Failure(f"The event log is corrupted: {damage}") from damage
    except DatabaseUnavailable as error:
        reason, _, _ = str(error).partition("\n")
        raise Failure(f"Cannot use the database: {reason}") from error
    except (
        *(ArchiveCorrupted, ArchiveNeeded),
        *(Locked, SchemaOutdated, UnknownDatabase, DatabaseUnusable),
    ) as obstacle:
        raise Failure(str(obstacle)) from obstacle
