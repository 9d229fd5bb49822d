"""The location of a PostgreSQL database: server, database, schema and credentials."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from quorate.eventlog.database import DatabaseUnusable
from quorate.eventlog.postgres.connection import STATEMENTS_CACHED

SCHEMA_DEFAULT = "public"
CONNECT_SECONDS_MAX = 5.0
SILENCE_SECONDS_MAX = 10  # After which a vanished server is detected.
CHANNEL_DIGITS = 32
_SCHEMA = "schema"
_PASSWORD_FILE_BYTES_MAX = 4_096
_SETTINGS = {
    "DateStyle": "ISO",
    # Overrides defaults of the database and the role: a batch reads after it got the log's lock and
    # must see everything that was committed until then.
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "jit": "off",
    "synchronous_commit": "on",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": str(SILENCE_SECONDS_MAX // 2),
    "tcp_keepalives_interval": "2",
    "tcp_user_timeout": f"{SILENCE_SECONDS_MAX}s",
}


class DatabaseLocation:
    def __init__(self, url: URL, schema: str, password: str | None, shown: str) -> None:
        self.schema = schema
        self._shown = shown
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._password = password

    @classmethod
    def from_url(cls, text: str, password_file: Path | None) -> Self:
        """Parse a database URL; raises DatabaseUnusable for a bad URL or password file."""
        try:
            url = make_url(text)
        except ArgumentError as error:
            raise DatabaseUnusable("The database URL is invalid") from error
        query = dict(url.query)
        schema = query.pop(_SCHEMA, SCHEMA_DEFAULT)
        if "ssl" in query:  # As SQLAlchemy calls it.
            query["sslmode"] = query.pop("ssl")
        assert isinstance(schema, str)
        password = None if password_file is None else _password(password_file)
        shown = url.render_as_string(hide_password=True)
        return cls(url.set(query=query), schema, password, shown)

    def __str__(self) -> str:
        return self._shown

    @property
    def channel(self) -> str:
        """The NOTIFY channel of this schema; a hash, because channel names are short."""
        return f"quorate_{hashlib.sha256(self.schema.encode()).hexdigest()[:CHANNEL_DIGITS]}"

    def options(
        self, name: str, statement_seconds: float | None, settings: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return asyncpg's options for a connection or a pool."""
        search_path = '"' + self.schema.replace('"', '""') + '"'
        return {
            "dsn": self._dsn,
            "timeout": CONNECT_SECONDS_MAX,
            "command_timeout": statement_seconds,
            "statement_cache_size": STATEMENTS_CACHED,
            "max_cacheable_statement_size": 0,  # No limit: combined queries are long.
            "server_settings": {
                **_SETTINGS,
                **settings,
                "application_name": f"quorate-{name}",
                "search_path": search_path,
            },
            **({} if self._password is None else {"password": self._password}),
        }


def _password(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_PASSWORD_FILE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseUnusable(f"Cannot read the database password: {error}") from error
