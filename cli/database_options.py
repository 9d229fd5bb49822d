"""Where the log lives, for the verbs that open it themselves.

A log of one process is opened only while nobody else has its data folder; one on PostgreSQL may
be in use.
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
    data_dir_option("The service's data folder."),
    click.option(
        "--database-url",
        envvar="QUORATE_DATABASE_URL",
        help="Where the log lives, if not in the data folder: "
        "postgresql+asyncpg://user@host/database, sqlite+aiosqlite:////path/to/file.",
    ),
    click.option(
        "--database-password-file",
        envvar="QUORATE_DATABASE_PASSWORD_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Holds PostgreSQL's password.",
    ),
)


@dataclass(frozen=True)
class DatabaseTarget:
    """What was said of it on the command line and in the environment."""

    data_dir: Path
    url: str | None
    password_file: Path | None

    @property
    def path(self) -> Path | None:
        """Of a log in a file; None on PostgreSQL."""
        from quorate.eventlog.database_url import sqlite_path

        return self.data_dir / DATABASE if self.url is None else sqlite_path(self.url)

    def backend(self) -> "Database":
        """Not opened yet. Nobody waits for an answer of it: no statement is cut off."""
        from quorate.eventlog.database_url import backend_of

        url = f"sqlite:///{self.path}" if self.path is not None else self.url
        assert url is not None
        return backend_of(url, password_file=self.password_file, patient=True)

    def alone(self) -> AbstractContextManager[object]:
        """Keeps a service off a log of one process, or raises Locked when there is one."""
        from quorate.runtime.process_lock import DataDirLock

        if self.path is None or not self.data_dir.is_dir():
            return nullcontext()
        return DataDirLock(self.data_dir)

    def must_exist(self) -> None:
        """Else looking for a log would leave an empty one behind."""
        if self.path is not None and not self.path.is_file():
            raise Failure(f"There is no log at {self.path}")


def database_options(command: Command) -> Command:
    """``--data-dir --database-url --database-password-file``, handed over as ``database``."""

    @wraps(command)
    def with_database(**given: Any) -> Any:  # noqa: ANN401 - what click hands over.
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
def database_failures() -> Iterator[None]:
    """Inside, what stands in the way of a log ends the verb with a sentence about it."""
    try:
        from quorate.eventlog.archive.files import ArchiveDamaged, ArchiveNeeded
        from quorate.eventlog.database import NotDurable, Outdated
        from quorate.eventlog.database_url import UnknownDatabase
        from quorate.eventlog.event_store import LogDamaged
        from quorate.eventlog.hash_chain import ChainBroken
        from quorate.eventlog.transactions import DatabaseUnavailable
        from quorate.projections.replay import Unfoldable
        from quorate.runtime.process_lock import Locked
    except ImportError as error:
        raise Failure(f"{error.name} is missing: pip install 'quorate[server]'") from error
    try:
        yield
    except (ChainBroken, LogDamaged, Unfoldable) as damage:
        raise Failure(f"The log is damaged: {damage}") from damage
    except DatabaseUnavailable as error:
        why, _, _ = str(error).partition("\n")
        raise Failure(f"The database cannot be used: {why}") from error
    except (
        *(ArchiveDamaged, ArchiveNeeded),
        *(Locked, Outdated, UnknownDatabase, NotDurable),
    ) as obstacle:
        raise Failure(str(obstacle)) from obstacle
